/** The gRPC status codes this server uses, and the fields they travel in. */

/** Numbers of the gRPC specification (doc/statuscodes.md), the same in `google.rpc.Status`. */
export const grpcStatus = {
  OK: 0,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

export type GrpcStatus = keyof typeof grpcStatus;

/** Why a call ended without a message. Said to the caller, so it names no fact of ours. */
export type GrpcRefusal = Exclude<GrpcStatus, 'OK'>;
