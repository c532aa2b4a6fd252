"""What tests share: real servers, real processes, and waiting for events instead of sleeping."""
