"""Programs at run time: from columns to outputs. It knows no rule, and needs no onnx."""
