"""Load for as long as one likes: mixed traffic, every answer compared, the server watched meanwhile."""
