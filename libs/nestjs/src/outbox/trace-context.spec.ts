import { AsyncLocalStorage } from 'node:async_hooks';
import {
  ROOT_CONTEXT,
  context,
  trace,
  type Context,
  type ContextManager,
} from '@opentelemetry/api';
import { defineEvent, systemClock } from '@sagaz/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { draftMessage } from './message-draft.js';
import { withHeaders } from './message-headers.js';
import { currentTraceId, loadTracing, traceHeaders, withTraceOf } from './trace-context.js';

/** The parts that an OpenTelemetry SDK brings. */
class StorageContextManager implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>();
  active(): Context {
    return this.#storage.getStore() ?? ROOT_CONTEXT;
  }
  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    active: Context,
    run: F,
    self?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.#storage.run(active, () => run.apply(self, args));
  }
  bind<T>(_context: Context, target: T): T {
    return target;
  }
  enable(): this {
    return this;
  }
  disable(): this {
    return this;
  }
}

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';
const traceparent = `00-${traceId}-${spanId}-01`;
const Done = defineEvent<{ id: string }>()('work.done');

describe('trace context of messages', () => {
  beforeAll(async () => {
    context.setGlobalContextManager(new StorageContextManager());
    await loadTracing();
  });
  afterAll(() => {
    context.disable();
  });

  it('is that of the span in which they were published', async () => {
    const span = { traceId, spanId, traceFlags: 1 };
    const active = trace.setSpanContext(ROOT_CONTEXT, span);
    const draft = context.with(active, () => draftMessage(Done, { id: 'a' }, {}, systemClock));
    expect((await draft.seal('work')).headers).toEqual({ traceparent });
  });

  it('is absent where nothing is traced', async () => {
    const message = await draftMessage(Done, { id: 'a' }, {}, systemClock).seal('work');
    expect(message.headers).toEqual({});
    expect(currentTraceId()).toBeUndefined();
  });

  it('goes from the message that is handled to those its handler publishes, state included', () => {
    const tracestate = 'vendor=1,other=2';
    withTraceOf({ traceparent, tracestate }, () => {
      expect(currentTraceId()).toBe(traceId);
      expect(traceHeaders()).toEqual({ traceparent, tracestate });
    });
  });

  it('is passed on as it came where the process traces nothing itself', () => {
    context.disable();
    const headers = { traceparent, tracestate: 'vendor=1' };
    withTraceOf(headers, () => {
      expect(traceHeaders()).toEqual(headers);
      expect(currentTraceId()).toBe(traceId);
      withTraceOf({}, () => expect(traceHeaders()).toEqual({}));
    });
    context.setGlobalContextManager(new StorageContextManager());
  });

  it.each([
    ['of no version there can be', `ff-${traceId}-${spanId}-01`],
    ['that says more than its version may', `${traceparent}-more`],
    ['of zeros', `00-${'0'.repeat(32)}-${spanId}-01`],
    ['that is none', 'hello'],
  ])('is ignored when it is one %s', (_what, broken) => {
    withTraceOf({ traceparent: broken }, () => expect(traceHeaders()).toEqual({}));
  });

  it('is beside what else surrounds the work, and the user has the last word on neither', async () => {
    const draft = withHeaders({ 'sagaz-causation-id': 'm1' }, () =>
      draftMessage(Done, { id: 'a' }, { headers: { 'X-Shop': 'berlin' } }, systemClock),
    );
    expect((await draft.seal('work')).headers).toEqual({
      'sagaz-causation-id': 'm1',
      'x-shop': 'berlin',
    });
    for (const header of ['sagaz-role', 'ce_id', 'Content-Type', 'bad name']) {
      expect(() =>
        draftMessage(Done, { id: 'a' }, { headers: { [header]: 'x' } }, systemClock),
      ).toThrow(header);
    }
  });

  it('has no key that is empty: all such messages would wait for each other', () => {
    expect(() => draftMessage(Done, { id: 'a' }, { key: '' }, systemClock)).toThrow(
      'its key is empty',
    );
  });
});
