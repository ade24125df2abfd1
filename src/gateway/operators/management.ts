/** The management listener: metrics, liveness, readiness. Tells, changes nothing. */
import type { RequestHandler } from '../../http/listener.ts';
import type { Metrics, MetricsReport } from '../../observability/metrics.ts';

export type Readiness = 'ready' | 'degraded' | 'draining' | 'failed';

export interface DependencyState {
  readonly name: string;
  readonly status: 'available' | 'degraded' | 'unavailable';
  /** One sentence, only when it is not available. */
  readonly reason?: string;
}

export interface ManagementSource {
  readonly metrics: Metrics;
  /** Metrics of the workers. */
  reports(): Promise<readonly MetricsReport[]>;
  readiness(): Promise<{ readonly status: Readiness; readonly dependencies: readonly DependencyState[] }>;
}

export function createManagementHandler(source: ManagementSource): RequestHandler {
  const { metrics } = source;
  const answers: Readonly<Record<string, () => Promise<{ status: number; type: string; body: string }>>> = {
    '/livez': async () =>
      await Promise.resolve({ status: 200, type: 'text/plain; charset=utf-8', body: 'alive\n' }),
    '/readyz': async () => {
      const state = await source.readiness();
      const isReady = state.status === 'ready' || state.status === 'degraded';
      return {
        status: isReady ? 200 : 503,
        type: 'application/json; charset=utf-8',
        body: `${JSON.stringify(state)}\n`,
      };
    },
    '/metrics': async () => {
      const { contentType, body } = await metrics.expose(await source.reports());
      return { status: 200, type: contentType, body };
    },
  };

  return (request, response) => {
    const startedAt = performance.now();
    const send = (status: number, type: string, body: string): void => {
      response.writeHead(status, {
        'Content-Type': type,
        'Content-Length': Buffer.byteLength(body),
        'Cache-Control': 'no-store',
        'X-Content-Type-Options': 'nosniff',
        ...(status === 405 ? { Allow: 'GET, HEAD' } : {}),
      });
      response.end(request.method === 'HEAD' ? undefined : body);
      const labels = { listener: 'management', surface: 'management', code: String(status) };
      metrics.httpRequests.cell(labels).count++;
      metrics.httpRequestDuration.cell(labels).observe((performance.now() - startedAt) / 1_000);
    };
    const path = (request.url as string).split('?', 1)[0] as string;
    const answer = Object.hasOwn(answers, path) ? answers[path] : undefined;
    if (answer === undefined) {
      send(404, 'text/plain; charset=utf-8', 'not found\n');
    } else if (request.method !== 'GET' && request.method !== 'HEAD') {
      send(405, 'text/plain; charset=utf-8', 'method not allowed\n');
    } else {
      answer().then(
        ({ status, type, body }) => send(status, type, body),
        () => send(500, 'text/plain; charset=utf-8', 'internal error\n'),
      );
    }
  };
}
