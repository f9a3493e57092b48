import { expect, it } from 'vitest';
import { currentTraceId, traceHeaders, withTraceOf } from './trace-context.js';
import { traceRequests } from './trace-requests.js';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const traceparent = `00-${traceId}-b7ad6b7169203331-01`;

/** The trace that the code behind the middleware sees, also after it has waited. */
async function seen(
  headers: Readonly<Record<string, string | readonly string[]>>,
): Promise<ReturnType<typeof traceHeaders>> {
  return new Promise((resolve) => {
    traceRequests({ headers }, null, () => void setImmediate(() => resolve(traceHeaders())));
  });
}

it('puts a request into the trace that it names', async () => {
  expect(await seen({ traceparent, tracestate: 'vendor=1' })).toEqual({
    traceparent,
    tracestate: 'vendor=1',
  });
});

it.each([{}, { traceparent: 'hello' }, { traceparent: [traceparent, traceparent] }])(
  'begins a trace of its own for each request that names none: %o',
  async (headers) => {
    const [one, two] = [await seen(headers), await seen(headers)];
    for (const { traceparent: begun } of [one, two]) {
      expect(begun).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    }
    expect(one.traceparent).not.toBe(two.traceparent);
    expect(currentTraceId()).toBeUndefined();
  },
);

it('leaves a request where its trace was begun before', async () => {
  const other = traceparent.replace('0af7', 'ffff');
  const inside = await withTraceOf({ traceparent }, () => seen({ traceparent: other }));
  expect(inside).toEqual({ traceparent });
});
