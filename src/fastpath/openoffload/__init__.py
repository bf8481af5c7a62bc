"""The session table over gRPC, as OpenOffload's clients know it. Needs the extra fastpath-dpu[grpc]."""
