import { describe, expect, it } from 'vitest';
import { Gauges } from './src/soak/gauges.js';
import { readOptions } from './src/soak/options.js';
import { brokenRules, type Result } from './src/soak/report.js';

type Figures = Omit<Result, 'ok' | 'broken'>;

const GOOD: Figures = {
  seed: 1,
  minutes: 5,
  sagas: 1_667,
  repeatedStarts: 3,
  disturbances: { 'kill engine': 2 },
  findings: {
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
  },
  settledAfter: 4,
  longestSaga: 20,
  longestStandstill: 12,
  heapMiB: { before: 20, after: 24 },
  connections: { before: 160, after: 170 },
  connectionsLeft: 0,
  stuckShutdowns: [],
};

describe('the rules of the soak', () => {
  it('hold where the books are right and nothing grew', () => {
    expect(brokenRules(GOOD)).toEqual([]);
  });

  const bad: [string, Partial<Figures>][] = [
    ['each entry in the books that is wrong', { findings: { ...GOOD.findings, messagesLost: 2 } }],
    ['a standstill', { longestStandstill: 120 }],
    ['a heap that grew', { heapMiB: { before: 20, after: 60 } }],
    ['connections that grew', { connections: { before: 100, after: 160 } }],
    ['connections that stay after the end', { connectionsLeft: 1 }],
    ['a process that does not end after SIGTERM', { stuckShutdowns: ['relay-5'] }],
  ];
  it.each(bad)('are broken by %s', (_what, change) => {
    expect(brokenRules({ ...GOOD, ...change })).toHaveLength(1);
  });
});

describe('the gauges of the soak', () => {
  it('measure how long no saga ended, also when the sagas stand still to the end', () => {
    const clock = { now: 0 };
    const gauges = new Gauges(() => clock.now);
    gauges.progress(0, 0);
    clock.now = 1_000;
    gauges.progress(1, 3);
    clock.now = 31_000;
    gauges.progress(1, 3);
    expect(gauges.longestStandstillMs).toBe(30_000);
  });

  it('compare the second quarter of the run with the last one', () => {
    const clock = { now: 0 };
    const gauges = new Gauges(() => clock.now);
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
});

describe('the options of the soak', () => {
  it('place 20,000 sagas an hour unless told otherwise', () => {
    expect(readOptions(['--minutes', '3', '--seed', '7', '--json'])).toEqual({
      minutes: 3,
      sagas: 1_000,
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
