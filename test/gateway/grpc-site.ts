/** The site of the gateway tests, asked over gRPC. */
import type { TestGateway } from '#test/servers/gateway.ts';
import type { Visitor } from '#test/support/http-client.ts';
import { startSite } from './site.ts';

/** Section `server`, with a gRPC listener on a free port. */
export const serverWith = (overrides: Record<string, unknown> = {}) => ({
  publicUrl: 'http://gw.example.test',
  trustedProxies: ['127.0.0.1/32', '192.0.2.0/24'],
  grpc: { listen: '127.0.0.1:0' },
  ...overrides,
});

/** Read from the log, as an operator would; `undefined` before it listens. */
export const grpcPort = (logs: TestGateway['logs']): number | undefined =>
  (logs.find(({ event }) => event === 'grpc.listening')?.['address'] as { port: number } | undefined)?.port;

export async function startGrpcSite(overrides: Record<string, unknown> = {}): Promise<TestGateway> {
  return await startSite(undefined, { server: serverWith(), ...overrides });
}

/** A cookie field as Envoy writes it. */
export const cookieOf = (visitor: Visitor) => ['cookie', visitor.cookieHeader] as const;
