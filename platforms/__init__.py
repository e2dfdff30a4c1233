"""How anything runs: the words components use (`workload`), the contract (`base`), and one module per platform."""
