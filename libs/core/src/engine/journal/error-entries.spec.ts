import fc from 'fast-check';
import { expect, it } from 'vitest';
import { anythingThrown } from '../../errors/hostile.fixture.js';
import { LATEST_DATA_CHARACTERS } from '../../ports/index.js';
import { decodeEntry, encodeEntry, errorRecord, type SagaEntry } from './index.js';

it('has the delay and the message of an error in the beginning that lists of sagas read', () => {
  fc.assert(
    fc.property(anythingThrown, (make) => {
      const error = errorRecord(make());
      const { data } = encodeEntry({
        kind: 'attempt_failed',
        role: 'step',
        step: 'a',
        item: null,
        attempt: 1,
        error,
        delayMs: 7,
        doubt: true,
        reply: 'm',
      });
      const start = `{"delayMs":7,"doubt":true,"reply":"m","error":{"name":`;
      expect(data?.startsWith(start)).toBe(true);
      expect(data?.indexOf('"message":')).toBeLessThan(LATEST_DATA_CHARACTERS / 2);
    }),
    { numRuns: 1_000 },
  );
});

it('holds the error of a step, whatever was thrown, so that the next engine can read it', () => {
  fc.assert(
    fc.property(anythingThrown, (make) => {
      const error = errorRecord(make());
      const failed = {
        role: 'step',
        step: 'a',
        item: 'i',
        attempt: 1,
        error,
        doubt: false,
      } as const;
      const entries: readonly SagaEntry[] = [
        { ...failed, kind: 'failed' },
        { ...failed, kind: 'attempt_failed', delayMs: 1 },
        { kind: 'failing', failure: { kind: 'step', step: 'a', item: null, error } },
      ];
      for (const entry of entries) expect(decodeEntry(encodeEntry(entry))).toStrictEqual(entry);
    }),
    { numRuns: 1_000 },
  );
});
