import { beforeEach, describe, expect, it, vi } from 'vitest';
import { InvalidArgumentError } from '../../errors/index.js';
import { VirtualClock } from '../../testing/index.js';
import { FACT_KINDS, factHandlers, FactStream, type EngineFact, type FactKind } from './index.js';

const saga = { sagaId: 's', saga: 'order', version: 1, createdAt: 0, traceparent: null };
const begun: EngineFact = { kind: 'saga_started', ...saga };
const flushed = (size: number): EngineFact => ({
  kind: 'transitions_flushed',
  size,
  durationMs: 1,
});

/** A rejection that nobody handles fails the run; it is reported once the microtasks have ended. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

let clock: VirtualClock;
let lines: string[];
let facts: FactStream;
beforeEach(() => {
  clock = new VirtualClock();
  lines = [];
  const say = (): void => undefined;
  const error = (message: string, fields?: object, cause?: unknown): void => {
    lines.push(`${message} ${JSON.stringify(fields)} ${(cause as Error).message}`);
  };
  facts = new FactStream({ logger: { debug: say, info: say, warn: say, error }, clock });
});

describe('a stream of facts', () => {
  it('tells each fact once to each listener, in order, from its subscription to its end', () => {
    const told: string[] = [];
    const listener =
      (name: string) =>
      (fact: EngineFact): void => {
        told.push(`${name} ${fact.kind === 'transitions_flushed' ? fact.size : fact.kind}`);
      };
    facts.tell(flushed(0));
    const stop = facts.subscribe(listener('a'));
    facts.tell(flushed(1));
    facts.subscribe(listener('b'));
    facts.tell(flushed(2));
    stop();
    stop();
    facts.tell(flushed(3));
    expect(told).toEqual(['a 1', 'a 2', 'b 2', 'b 3']);
  });

  it('tells a fact that a listener causes to all after the one they are being told', () => {
    const told: string[] = [];
    facts.subscribe((fact) => {
      if (fact.kind === 'saga_started') facts.tell(flushed(1));
      told.push(`a ${fact.kind}`);
    });
    facts.subscribe((fact) => told.push(`b ${fact.kind}`));
    facts.tell(begun);
    expect(told).toEqual([
      'a saga_started',
      'b saga_started',
      'a transitions_flushed',
      'b transitions_flushed',
    ]);
  });

  it('tells one that is ended by another listener nothing more, and a new one the next fact', () => {
    const told: string[] = [];
    facts.subscribe(() => {
      stop();
      facts.subscribe(({ kind }) => told.push(`new ${kind}`));
    });
    const stop = facts.subscribe(({ kind }) => told.push(`ended ${kind}`));
    facts.tell(begun);
    expect(told).toEqual([]);
    facts.tell(flushed(1));
    expect(told).toEqual(['new transitions_flushed']);
  });

  it('wants a kind for as long as somebody takes it', () => {
    expect(facts.wants('attempt_began')).toBe(false);
    const handlers = { attempt_began: () => undefined, saga_started: () => undefined };
    const stops = [
      facts.subscribe(factHandlers(handlers)),
      facts.subscribe(factHandlers(handlers)),
    ];
    expect(facts.wants('attempt_began')).toBe(true);
    expect(facts.wants('attempt_ended')).toBe(false);
    stops[0]?.();
    expect(facts.wants('attempt_began')).toBe(true);
    stops[1]?.();
    expect(facts.wants('attempt_began')).toBe(false);
    // The log lines of the engine go on.
    expect(facts.wants('task_failed')).toBe(true);
  });

  it('goes on past a listener that throws or rejects, and logs that once a minute', async () => {
    const told: string[] = [];
    facts.subscribe(() => {
      throw new Error('thrown');
    });
    facts.subscribe(() => Promise.reject(new Error('rejected')));
    facts.subscribe(({ kind }) => told.push(kind));
    for (let n = 0; n < 100; n += 1) facts.tell(begun);
    await settled();
    await clock.advance(60_000);
    facts.tell(begun);
    await settled();
    expect(told).toHaveLength(101);
    const line = "A listener for facts of the engine failed at 'saga_started'; the engine goes on.";
    expect(lines).toEqual([
      `${line} {"failures":1} thrown`,
      `${line} {"failures":1} rejected`,
      `${line} {"failures":100} thrown`,
      `${line} {"failures":100} rejected`,
    ]);
  });

  it('refuses what is no listener, and kinds that do not exist', () => {
    const none: unknown = { saga_started: () => undefined };
    expect(() => facts.subscribe(none as never)).toThrow(InvalidArgumentError);
    const kinds = ['saga_ended', 'saga_finished'] as FactKind[];
    const wrong = Object.assign(() => undefined, { kinds });
    expect(() => facts.subscribe(wrong)).toThrow(/kinds is 'saga_finished'.*saga_started, /s);
    expect(facts.wants('attempt_began')).toBe(false);
  });
});

describe('handlers of facts', () => {
  it('are each told their own kind', () => {
    const handlers = Object.fromEntries(FACT_KINDS.map((kind) => [kind, vi.fn()]));
    const listener = factHandlers(handlers);
    expect(listener.kinds).toEqual(FACT_KINDS);
    for (const kind of FACT_KINDS) listener({ ...begun, kind } as EngineFact);
    for (const kind of FACT_KINDS) {
      expect(handlers[kind]?.mock.calls).toEqual([[expect.objectContaining({ kind })]]);
    }
  });
});
