"""What the tests share: servers, repositories, recordings, clients."""
