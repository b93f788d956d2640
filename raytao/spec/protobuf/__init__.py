"""Protobuf's text format: read without a schema, edited in place, checked against one if given."""
