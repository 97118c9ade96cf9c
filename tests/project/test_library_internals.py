"""What the code uses of libraries beyond their documentation, each thing exercised by its name: an upgrade that breaks
one fails here and says which."""

import ast
import inspect
import logging
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import numpy as np
import psycopg
import pytest
import sklearn.ensemble
import xgboost
from flask import Flask
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn import glogging
from gunicorn.config import Config
from gunicorn.http import errors, wsgi
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.parser import RequestParser
from gunicorn.workers import ggevent
from peewee import Database, PostgresqlDatabase, SqliteDatabase
from playhouse.migrations import Runner
from prometheus_client import Counter, values
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector
from psycopg.errors import _WaitTimeout
from sklearn.compose import ColumnTransformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import GammaRegressor, LogisticRegression
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.preprocessing import PowerTransformer
from urllib3 import Retry
from werkzeug.routing import Map, MapAdapter, Rule
from werkzeug.test import create_environ

from service.storage.tables import Prediction
from tests.support.passengers import PROJECT

# The private names that the code reads, by the library that they belong to. Those of named tuples are documented.
PRIVATE = {
    "_WaitTimeout": "psycopg",
    "_baseline_prediction": "scikit-learn",
    "_base_loss": "scikit-learn",
    "_curve_scorer": "scikit-learn",
    "_get_iteration_range": "xgboost",
    "_get_pos_label": "scikit-learn",
    "_loss": "scikit-learn",
    "_max_components": "scikit-learn",
    "_meta": "peewee",
    "_predictors": "scikit-learn",
    "_raw_predict_init": "scikit-learn",
    "_scaler": "scikit-learn",
    "_transformer_to_input_indices": "scikit-learn",
    "_weights_not_none": "scikit-learn",
    "_exit": "Python (documented)",
    "_fields": "Python (documented)",
    "_replace": "Python (documented)",
}

X = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 0.0]] * 8)
Y = np.array([0, 1, 0, 1] * 8)


def parsed_files() -> Iterator[ast.Module]:
    for path in [*(PROJECT / "service").rglob("*.py"), *(PROJECT / "serialize").rglob("*.py"), PROJECT / "app.py"]:
        yield ast.parse(path.read_text())
    yield ast.parse((PROJECT / "gunicorn.conf.py").read_text())


def own_names(tree: ast.Module) -> set[str]:
    """The private attributes, methods and functions that a module defines itself."""
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)  # of __slots__
    return names


def private_names(tree: ast.Module) -> Iterator[str]:
    """The private names that a module reads of something else than itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            names = [node.attr]
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names] + (node.module or "").split(".")
        else:
            continue
        yield from (name for name in names if name.startswith("_") and not name.startswith("__"))


def test_every_private_name_of_a_library_is_in_the_table() -> None:
    trees = list(parsed_files())
    own = set().union(*(own_names(tree) for tree in trees)) - {"_exit"}
    used = {name for tree in trees for name in private_names(tree)} - own

    assert used == set(PRIVATE)


# ---- What the code uses of each library. The names of the functions say what.


def gunicorn_request_parser_reads_a_request_and_gives_back_the_rest() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        config = Config()
        theirs.sendall(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhiGET /b HTTP/1.1\r\nHost: x\r\n\r\n")
        parser = RequestParser(config, ours, ("127.0.0.1", 1))
        assert parser.finish_body(max_bytes=10)
        data = parser.unreader.read()
        parser.unreader.unread(data)
        parser.mesg = None
        message = next(parser)
        message.proxy_protocol_info = {}
        _, environ = wsgi.create(message, ours, ("127.0.0.1", 1), ("127.0.0.1", 80), config)
        assert (environ["PATH_INFO"], environ["CONTENT_LENGTH"], message.should_close()) == ("/a", "2", False)
        assert message.body.read(10) == b"hi"
        assert next(parser).path == "/b"


def gunicorn_request_parser_reads_parts_and_makes_an_environment_without_a_connection() -> None:
    config, nobody = Config(), ("", 0)
    parser = RequestParser(config, iter([b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"]), nobody)
    _, environ = wsgi.create(next(parser), None, nobody, ("127.0.0.1", 80), config)
    assert (environ["SERVER_PORT"], environ["SCRIPT_NAME"], config.proxy_protocol) == ("80", "", "off")
    assert issubclass(errors.ConfigurationProblem, Exception)


def gunicorn_request_parser_skips_the_rest_of_a_body_that_it_is_given() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"bodyGET /b HTTP/1.1\r\nHost: x\r\n\r\n")
        parser = RequestParser(Config(), ours, ("127.0.0.1", 1))
        parser.mesg = SimpleNamespace(body=Body(LengthReader(parser.unreader, 4)))
        assert parser.mesg.body.read(1) == b"b"
        assert parser.finish_body(max_bytes=10)
        parser.mesg = None
        assert next(parser).path == "/b"


def gunicorn_errors_have_the_names_that_are_mapped_to_a_status() -> None:
    for name in ("LimitRequestLine", "LimitRequestHeaders", "UnsupportedTransferCoding", "ExpectationFailed"):
        assert issubclass(getattr(errors, name), errors.ParseException), name
    assert not issubclass(errors.NoMoreData, errors.ParseException)


def gunicorn_gevent_worker_calls_the_methods_that_are_overridden() -> None:
    for name in ("run", "handle", "handle_error", "handle_exit", "init_signals", "notify"):
        assert callable(getattr(ggevent.GeventWorker, name)), name
    source = inspect.getsource(ggevent.GeventWorker.init_process) + inspect.getsource(ggevent.GeventWorker.__mro__[1])
    assert "self.run()" in inspect.getsource(ggevent.GeventWorker.__mro__[2].init_process)
    assert "self.wsgi" in source or "self.wsgi" in inspect.getsource(ggevent.GeventWorker.__mro__[2])


def gunicorn_logger_has_the_attributes_that_setup_replaces() -> None:
    logger = glogging.Logger(Config())
    assert {"access_log", "error_log", "cfg", "loglevel"} <= set(vars(logger))
    assert logger.LOG_LEVELS["info"] == logging.INFO
    assert "_access_log_enabled" in inspect.getsource(glogging)


def gevent_stream_server_hands_each_connection_to_do_handle() -> None:
    handled: list[Any] = []

    class Recording(StreamServer):
        def do_handle(self, *args: Any) -> None:
            handled.append(args)

    server = Recording(("127.0.0.1", 0), handle=lambda *_: None, spawn=Pool(2))
    server.max_accept = 1
    server.start()
    with socket.create_connection(("127.0.0.1", server.server_port)):
        gevent.sleep(0.2)
        server.stop_accepting()
        server.start_accepting()
    assert len(handled) == 1
    assert not server.full()
    assert server.do_read() is None
    assert server.started
    server.stop()
    handled[0][0].close()


def gevent_pool_counts_its_free_places() -> None:
    pool = Pool(3)
    assert (pool.size, pool.free_count(), pool.join(timeout=0.1)) == (3, 3, True)


def gevent_thread_pool_of_the_hub_runs_a_job() -> None:
    pending = gevent.get_hub().threadpool.spawn(lambda: 7)
    pending.wait()
    assert pending.ready()
    assert pending.get() == 7


def flask_application_can_be_served_below_its_own_wsgi_app() -> None:
    app = Flask("x")
    app.add_url_rule("/a", view_func=lambda: "b")
    context = app.request_context(create_environ("/a"))
    context.push()
    assert context.request.url_rule is not None
    assert context.request.url_rule.rule == "/a"
    assert context.request.routing_exception is None
    context.pop(None)
    for name in ("create_url_adapter", "do_teardown_request", "ensure_sync"):
        assert callable(getattr(app, name)), name


def werkzeug_map_adapter_matches_a_path_and_method() -> None:
    adapter = MapAdapter(Map([Rule("/a", endpoint="e")]), "", "/", "", "http", "/a", "GET")
    assert adapter.match(return_rule=True)[0].endpoint == "e"


def flask_restful_resources_are_instantiated_with_their_arguments() -> None:
    import flask_restful  # noqa: PLC0415 - it warns when it is imported with Werkzeug 3.2

    assert flask_restful.Api(Flask("x")).representations
    assert "resource_class_args" in inspect.getsource(flask_restful.Api)


def peewee_models_list_their_fields_and_write_statements() -> None:
    assert list(Prediction._meta.fields)[:2] == ["id", "observation_id"]
    assert Prediction._meta.table_name == "prediction"
    text, given = SqliteDatabase(":memory:").get_sql_context().parse(Prediction.select().where(Prediction.id == 1))
    assert text.endswith('("t1"."id" = ?)')
    assert given == [1]


def peewee_databases_say_whether_they_lock_rows() -> None:
    assert (SqliteDatabase(":memory:").for_update, PostgresqlDatabase("x").for_update) == (False, True)
    assert (SqliteDatabase(":memory:").param, PostgresqlDatabase("x").param) == ("?", "%s")
    assert "_connect" in vars(PostgresqlDatabase)
    assert callable(Database.execute_sql)


def peewee_migration_runner_applies_a_folder(tmp_path: Path) -> None:
    (tmp_path / "0001_x.py").write_text("def up(migrator, database):\n    database.execute_sql('CREATE TABLE x (a)')\n")
    database = SqliteDatabase(":memory:")
    with database.connection_context():
        assert Runner(database, str(tmp_path)).up() == ["0001_x"]


def prometheus_value_class_is_looked_up_when_a_metric_is_made(tmp_path: Path) -> None:
    made: list[tuple[Any, ...]] = []

    class Value:
        def __init__(self, *args: Any, **_: Any) -> None:
            made.append(args)

        def inc(self, amount: float) -> None: ...

    before, values.ValueClass = values.ValueClass, Value
    try:
        Counter("a_total", "help", ("b",), registry=None).labels("c").inc()
    finally:
        values.ValueClass = before
    assert made == [("counter", "a", "a_total", ("b",), ("c",), "help")]


def prometheus_mmaped_dict_starts_with_the_number_of_bytes_used(tmp_path: Path) -> None:
    path = tmp_path / "counter_0.db"
    file = MmapedDict(str(path))
    key = mmap_key("a", "a_total", [], [], "help")
    file.read_value(key)
    file.write_value(key, 3.0, 0.0)
    file.close()
    assert 8 < struct.unpack("i", path.read_bytes()[:4])[0] < path.stat().st_size
    (family,) = MultiProcessCollector.merge([str(path)])
    assert (family.name, family.samples[0].value) == ("a", 3.0)


def psycopg_connection_waits_with_a_limit() -> None:
    assert list(inspect.signature(psycopg.Connection.wait).parameters) == ["self", "gen", "interval", "timeout"]
    assert issubclass(_WaitTimeout, Exception)


def urllib3_retry_asks_is_exhausted_after_each_new() -> None:
    assert "is_exhausted()" in inspect.getsource(Retry.increment)
    assert "self.new(" in inspect.getsource(Retry.increment)
    retry = Retry(total=None, retry_after_max=5, backoff_max=5, allowed_methods=None)
    assert retry.new(connect=1).retry_after_max == 5


def gevent_leaves_the_native_lock_of_the_low_level_module() -> None:
    code = "from gevent import monkey; monkey.patch_all(); import _thread; print(_thread.RLock.__module__)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "_thread\n"


def sklearn_gradient_boosting_starts_from_raw_predict_init() -> None:
    model = sklearn.ensemble.GradientBoostingClassifier(n_estimators=1).fit(X, Y)
    assert model._raw_predict_init(np.zeros((1, 2), np.float32)).shape == (1, 1)
    assert type(model._loss.link).__name__ == "LogitLink"


def sklearn_histogram_boosting_keeps_its_trees_as_tables_of_nodes() -> None:
    model = sklearn.ensemble.HistGradientBoostingClassifier(max_iter=1, categorical_features=[1]).fit(X, Y)
    ((tree,),) = model._predictors
    names = {
        "left",
        "right",
        "feature_idx",
        "num_threshold",
        "missing_go_to_left",
        "value",
        "is_leaf",
        "is_categorical",
    }
    assert names | {"bitset_idx"} <= set(tree.nodes.dtype.names)
    assert tree.raw_left_cat_bitsets.ndim == 2
    assert model._baseline_prediction.shape == (1, 1)
    assert isinstance(model._preprocessor, ColumnTransformer)


def sklearn_power_transformer_has_a_scaler_and_discriminants_their_number() -> None:
    assert PowerTransformer().fit(X)._scaler.scale_.shape == (2,)
    assert LinearDiscriminantAnalysis().fit(X, Y)._max_components == 1


def xgboost_knows_its_best_iteration() -> None:
    model = xgboost.XGBClassifier(n_estimators=3, early_stopping_rounds=1, n_jobs=1)
    assert model.fit(X, Y, eval_set=[(X, 1 - Y)], verbose=False)._get_iteration_range(None) == (0, 1)
    assert xgboost.XGBClassifier(n_estimators=2, n_jobs=1).fit(X, Y)._get_iteration_range(None) == (0, 0)


def sklearn_column_transformer_knows_the_columns_of_each_part() -> None:
    fitted = ColumnTransformer([("a", "passthrough", [1])]).fit(X)
    assert fitted._transformer_to_input_indices["a"] == [1]


def sklearn_generalized_linear_model_has_its_link() -> None:
    assert type(GammaRegressor().fit(X, Y + 1.0)._base_loss.link).__name__ == "LogLink"


def sklearn_voting_leaves_out_the_weights_of_dropped_estimators() -> None:
    parts = [("a", sklearn.ensemble.RandomForestClassifier(n_estimators=1)), ("b", "drop")]
    voting = sklearn.ensemble.VotingClassifier(parts, weights=[2, 3]).fit(X, Y)
    assert voting._weights_not_none == [2]


def sklearn_tuned_thresholds_know_their_positive_class() -> None:
    scoring = make_scorer(f1_score, pos_label="no")
    tuned = TunedThresholdClassifierCV(LogisticRegression(), scoring=scoring).fit(X, np.array(["no", "yes"])[Y])
    assert tuned._curve_scorer._get_pos_label() == "no"


USES: list[Callable[..., None]] = [
    each
    for name, each in list(globals().items())
    if inspect.isfunction(each)
    and name.split("_")[0]
    in (
        *("gunicorn", "gevent", "flask", "werkzeug", "peewee", "prometheus", "psycopg", "urllib3"),
        *("sklearn", "xgboost"),
    )
]


@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_the_library_still_does_what_the_code_relies_on(use: Callable[..., None], tmp_path: Path) -> None:
    arguments = SimpleNamespace(tmp_path=tmp_path)

    use(**{name: getattr(arguments, name) for name in inspect.signature(use).parameters})
