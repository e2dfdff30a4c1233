"""What no stack may be: rules over plain data, in packs that the engine runs at every preview."""
