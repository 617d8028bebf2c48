"""Files that LocalCluster serves or reads from, and the programs that made them."""
