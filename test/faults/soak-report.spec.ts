import { describe, expect, it } from 'vitest';
import { BOUNDS } from './src/soak/bounds.js';
import { Gauges } from './src/soak/gauges.js';
import { readOptions } from './src/soak/options.js';
import {
  brokenRules,
  details,
  NOTHING_MEASURED,
  resultOf,
  type Figures,
} from './src/soak/report.js';

const FINDINGS = {
  lostSagas: 0,
  unendedSagas: 0,
  wrongEnds: 0,
  localEffectsWrong: 0,
  externalKeysWrong: 0,
  handlerEffectsWrong: 0,
  messagesLost: 0,
  messagesNeverCommitted: 0,
  outOfOrder: 0,
  deadLetters: 0,
  messagesLeft: 0,
};
const STEADY = { heap: { before: 20, after: 24 }, rss: { before: 110, after: 130 } };
const GOOD: Figures = {
  seed: 1,
  minutes: 5,
  orders: 1_667,
  sagas: 1_667,
  repeatedStarts: 3,
  disturbances: { 'kill engine': 2 },
  findings: FINDINGS,
  settledAfter: 4,
  longestSaga: 20,
  longestStandstill: 12,
  longestWaits: { 'outbox of orders': 15, 'group stock': 11 },
  memoryMiB: { 'engine-1': STEADY, 'relay-1': STEADY },
  connections: { before: 160, after: 170 },
  connectionsLeft: 0,
  stuckShutdowns: [],
  processFaults: [],
};

describe('the rules of the soak', () => {
  it('hold where the books are right, nothing grew and nothing waited', () => {
    expect(brokenRules(GOOD)).toEqual([]);
    expect(resultOf(GOOD, null, {}, null)).toMatchObject({ ok: true, outcome: 'passed' });
  });

  const fault = { process: 'engine-2', what: 'ended by itself (exit code 1)', lastLines: ['why'] };
  const grown = { before: 110, after: 260 };
  const bad: [string, Partial<Figures>][] = [
    ['each entry in the books that is wrong', { findings: { ...FINDINGS, messagesLost: 2 } }],
    ['orders that could not be started', { sagas: 1_600 }],
    ['a standstill', { longestStandstill: BOUNDS.standstill + 1 }],
    ['a saga that took too long', { longestSaga: BOUNDS.sagaTakes + 1 }],
    ['what takes too long after the last disturbance', { settledAfter: BOUNDS.settlesAfter + 1 }],
    [
      'a message that waited too long',
      { longestWaits: { 'group stock': BOUNDS.messageWaits + 1, 'outbox of orders': 3 } },
    ],
    [
      'a heap that grew',
      { memoryMiB: { 'relay-1': { ...STEADY, heap: { before: 20, after: 60 } } } },
    ],
    [
      'memory that grew outside of the heap',
      { memoryMiB: { 'relay-1': { ...STEADY, rss: grown } } },
    ],
    ['connections that grew', { connections: { before: 100, after: 160 } }],
    ['connections that stay after the end', { connectionsLeft: 1 }],
    ['a process that does not end after SIGTERM', { stuckShutdowns: ['relay-5'] }],
    ['a process that ended by itself', { processFaults: [fault] }],
  ];
  it.each(bad)('are broken by %s', (_what, change) => {
    expect(brokenRules({ ...GOOD, ...change })).toHaveLength(1);
    expect(resultOf({ ...GOOD, ...change }, null, {}, null).outcome).toBe('failed');
  });

  it('do not judge what a run that was broken off did not measure', () => {
    const why = 'It was interrupted by SIGINT.';
    const result = resultOf(
      { ...NOTHING_MEASURED, orders: 10 },
      { interrupted: true, why },
      {},
      null,
    );
    expect(result).toMatchObject({ ok: false, outcome: 'interrupted', broken: [why] });
  });

  it('come with the rows that break them, the last words of the process and the folder of the logs', () => {
    const broken = { ...GOOD, findings: { ...FINDINGS, messagesLost: 1 }, processFaults: [fault] };
    const row = { message_id: 'm1', key: 'k' };
    const text = details(resultOf(broken, null, { messagesLost: [row] }, '/tmp/logs')).join('\n');
    expect(text).toContain('messagesLost: {"message_id":"m1","key":"k"}');
    expect(text).toContain('last lines of engine-2: why');
    expect(text).toContain('/tmp/logs');
  });
});

describe('the gauges of the soak', () => {
  it('measure how long no saga ended, also when the sagas stand still to the end', () => {
    const clock = { now: 0 };
    const gauges = new Gauges(1_000, () => clock.now);
    gauges.progress(0, 0);
    clock.now = 1_000;
    gauges.progress(1, 3);
    clock.now = 31_000;
    gauges.progress(1, 3);
    expect(gauges.longestStandstillMs).toBe(30_000);
  });

  it('compare the second quarter of the run with the last one', () => {
    const clock = { now: 0 };
    const gauges = new Gauges(1_000, () => clock.now);
    for (const [at, count] of [
      [0, 500],
      [300, 10],
      [600, 500],
      [1_000, 20],
    ] as const) {
      clock.now = at;
      gauges.connections(count);
    }
    expect(gauges.connectionsMost).toEqual({ before: 10, after: 20 });
  });

  it('compare the usual memory of a process in the first quarter with that in the last, under load only', () => {
    const clock = { now: 0 };
    const gauges = new Gauges(1_000, () => clock.now);
    const mib = 2 ** 20;
    for (const [at, heap] of [
      [50, 90],
      [100, 20],
      [200, 20],
      [500, 90],
      [800, 30],
      [900, 30],
      [1_000, 90],
      [1_500, 5],
      [1_600, 5],
      [1_700, 5],
    ] as const) {
      clock.now = at;
      gauges.memory('relay-1', heap * mib, 2 * heap * mib);
    }
    expect(gauges.memoryMiB).toEqual({
      'relay-1': { heap: { before: 20, after: 30 }, rss: { before: 40, after: 60 } },
    });
  });

  it('keep the longest wait in each queue with its message', () => {
    const gauges = new Gauges(1_000);
    for (const [queue, seconds, id] of [
      ['outbox', 2, 'a'],
      ['outbox', 7, 'b'],
      ['outbox', 3, 'c'],
      ['group', 1, 'd'],
    ] as const) {
      gauges.waiting({ queue, seconds, row: { id } });
    }
    expect(gauges.longestWaits).toEqual([
      { queue: 'group', seconds: 1, row: { id: 'd' } },
      { queue: 'outbox', seconds: 7, row: { id: 'b' } },
    ]);
  });
});

describe('the options of the soak', () => {
  it('place 20,000 sagas an hour unless told otherwise', () => {
    expect(readOptions(['--minutes', '3', '--seed', '7', '--json'])).toEqual({
      minutes: 3,
      orders: 1_000,
      seed: 7,
      json: true,
    });
  });

  it('refuse a number that is none, and say what to give', () => {
    expect(() => readOptions(['--minutes', 'ten'])).toThrow(
      "--minutes is 'ten'. Give a number above 0 and up to 1440.",
    );
  });
});
