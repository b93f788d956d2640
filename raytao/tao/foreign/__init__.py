"""Results folders that TAO itself wrote."""
