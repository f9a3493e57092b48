import { expect, it } from 'vitest';
import { ConsumerBench, RelayBench } from '../../testing/index.js';

const WRONG: readonly unknown[] = ['5000', Number.NaN, -1, 1.5, Infinity, null, undefined, 2 ** 31];

it.each([
  'leaseTtlMs',
  'pollIntervalMs',
  'busyIntervalMs',
  'readLimit',
  'maxTaken',
  'stallAfterMs',
  'suspectAfterCrashes',
  'suspectSurvivors',
  'maxFailedCompletions',
] as const)('refuses a consumer whose %s is no whole number it could have', (name) => {
  for (const value of name === 'busyIntervalMs' ? WRONG : [0, ...WRONG]) {
    expect(() =>
      new ConsumerBench().consumer({ settings: Object.fromEntries([[name, value]]) }),
    ).toThrow(expect.objectContaining({ argument: `settings.${name}`, given: value }));
  }
});

it.each([
  'leaseTtlMs',
  'batchSize',
  'batchBytes',
  'concurrentBatches',
  'publishTimeoutMs',
  'maxPauseMs',
] as const)('refuses a relay whose %s is no whole number it could have', (name) => {
  for (const value of [0, ...WRONG]) {
    expect(() => new RelayBench().relay(Object.fromEntries([[name, value]]))).toThrow(
      expect.objectContaining({ argument: `settings.${name}`, given: value }),
    );
  }
});

it('names the option, the value and the remedy', () => {
  const relay = () => new RelayBench().relay(Object.fromEntries([['batchSize', '10']]));
  expect(relay).toThrow(
    "The relay to memory: settings.batchSize is '10'. Give a whole number from 1 to 2147483647, or leave it out.",
  );
  const retry = { attempts: 0, backoffMs: 1, factor: 2, maxDelayMs: 1, jitter: 0 };
  expect(() => new RelayBench().relay({ retry })).toThrow('settings.retry.attempts is 0');
  expect(() => new RelayBench().relay({ retry: { ...retry, attempts: 1, jitter: NaN } })).toThrow(
    'settings.retry.jitter is NaN',
  );
  expect(() => new RelayBench().relay({ publishTimeoutMs: 10_000 })).toThrow('at most 6000 ms');
});
