import { randomBytes } from 'node:crypto';
import { currentTraceId, traceIdOf, withTraceOf } from './trace-context.js';

/** The parts of a request of Express, Fastify or node:http that are read. */
interface Request {
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/**
 * Middleware for applications without OpenTelemetry, as in `app.use(traceRequests)`: each request
 * belongs to the trace that its `traceparent` header names (W3C Trace Context), or else to one that
 * begins here and is marked as sampled. So the log lines of all services about one saga have the same
 * `traceId`. If OpenTelemetry has a span for the request, that is kept.
 */
export function traceRequests(request: Request, _response: unknown, next: () => void): void {
  if (currentTraceId() !== undefined) {
    next();
    return;
  }
  const { traceparent, tracestate } = request.headers;
  const brought = {
    ...(typeof traceparent === 'string' ? { traceparent } : {}),
    ...(typeof tracestate === 'string' ? { tracestate } : {}),
  };
  withTraceOf(traceIdOf(brought) === undefined ? begun() : brought, next);
}

function begun(): { traceparent: string } {
  return { traceparent: `00-${hex(16)}-${hex(8)}-01` };
}

/** Random hexadecimal digits, not zeros alone, since those name no trace. */
function hex(bytes: number): string {
  const text = randomBytes(bytes).toString('hex');
  return /[^0]/.test(text) ? text : hex(bytes);
}
