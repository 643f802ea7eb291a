"""The Open Inference Protocol's ways in: REST (rest, repository), gRPC (grpc_service), and their description."""
