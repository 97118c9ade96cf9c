"""What a user would pick instead of this service, each started as its own documentation says, with batching on where
it has it, two workers, and nothing stored."""
