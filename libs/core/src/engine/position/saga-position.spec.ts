import { describe, expect, it } from 'vitest';
import type { RecordedEntry } from '../../ports/index.js';
import { encodeEntry, errorRecord, type SagaEntry } from '../journal/index.js';
import { historyData, positionOf } from './index.js';

const AT = new Date('2026-01-01T00:00:00Z');
const later = (ms: number): Date => new Date(AT.getTime() + ms);
const error = errorRecord(new Error('no stock'));
const of = (role: 'step' | 'compensation', step: string) => ({ role, step, attempt: 1 });

function recorded(...entries: readonly SagaEntry[]): readonly RecordedEntry[] {
  return entries.map((entry, revision) => ({
    ...encodeEntry(entry),
    revision,
    ordinal: 0,
    transitionId: 't',
    recordedAt: AT,
  }));
}

const started = (role: 'step' | 'compensation', step: string): SagaEntry => ({
  ...of(role, step),
  kind: 'started',
  by: 'i',
  epoch: 1,
  generation: 0,
});
const sent: SagaEntry = {
  ...of('step', 'reserve'),
  kind: 'sent',
  messageId: 'm',
  type: 'stock.reserve',
  key: 'k',
  timeoutMs: 60_000,
};

describe('where a saga stands', () => {
  it('is what it waits for: replies, attempts that run, and attempts to come', () => {
    const position = positionOf(
      recorded(
        { kind: 'saga_started', input: null },
        started('step', 'done'),
        { ...of('step', 'done'), kind: 'completed', output: 1 },
        started('step', 'reserve'),
        sent,
        started('step', 'charge'),
        { ...of('step', 'charge'), kind: 'attempt_failed', error, delayMs: 5_000, doubt: false },
        started('step', 'pack'),
      ),
    );
    expect(position).toMatchObject({ reason: null, detail: null, step: null });
    expect(position.waitsFor).toEqual([
      {
        ...of('step', 'reserve'),
        since: AT,
        waitsFor: { kind: 'reply', command: 'stock.reserve', until: later(60_000) },
      },
      {
        ...of('step', 'charge'),
        since: AT,
        waitsFor: { kind: 'next_attempt', at: later(5_000), error: 'no stock' },
      },
      { ...of('step', 'pack'), since: AT, waitsFor: { kind: 'attempt' } },
    ]);
  });

  it('has the reason and the step for which a person is needed, until that person has acted', () => {
    const failed = recorded(
      { kind: 'failing', failure: { kind: 'step', step: 'charge', error } },
      started('compensation', 'reserve'),
      { ...of('compensation', 'reserve'), kind: 'failed', error, doubt: false },
      {
        kind: 'needs_attention',
        reason: 'compensation_failed',
        detail: 'The compensation failed.',
      },
    );
    expect(positionOf(failed)).toEqual({
      reason: 'compensation_failed',
      detail: 'The compensation failed.',
      step: 'reserve',
      waitsFor: [],
    });
    const again = recorded({ kind: 'retry_requested', again: [] });
    expect(positionOf([...failed, ...again]).reason).toBeNull();
  });

  it.each([
    [{ kind: 'step', step: 'charge', error }, 'step_failed', 'no stock', 'charge'],
    [{ kind: 'cancelled', reason: 'by Ann' }, 'cancelled', 'by Ann', null],
    [{ kind: 'deadline' }, 'deadline', null, null],
  ] as const)('has the reason why it is undone: %j', (failure, reason, detail, step) => {
    expect(positionOf(recorded({ kind: 'failing', failure }, { kind: 'compensating' }))).toEqual({
      reason,
      detail,
      step,
      waitsFor: [],
    });
  });

  it('has the step that failed as its reason, unless a recovery has gone on from there', () => {
    const failed = recorded(started('step', 'charge'), {
      ...of('step', 'charge'),
      kind: 'failed',
      error,
      doubt: false,
    });
    expect(positionOf(failed)).toEqual({
      reason: 'step_failed',
      detail: 'no stock',
      step: 'charge',
      waitsFor: [],
    });
    const recovered = recorded({
      role: 'recovery',
      step: 'charge',
      attempt: 1,
      kind: 'completed',
      output: null,
    });
    expect(positionOf([...failed, ...recovered]).reason).toBeNull();
  });

  it('is told as far as it can be where entries are damaged, or of a later version', () => {
    const [entry] = recorded({ kind: 'parked' });
    if (entry === undefined) throw new Error('no entry');
    const strange = [
      { ...entry, kind: 'step_sent', step: 'a', data: '{"timeoutMs":"soon"' },
      { ...entry, kind: 'step_teleported', step: 'b', data: '[]' },
      { ...entry, kind: 'needs_attention', data: 'null' },
      { ...entry, kind: 'failing', data: '{"failure":7}' },
    ];
    expect(positionOf(strange).waitsFor.map(({ step }) => step)).toEqual(['a']);
    expect(historyData('{"a":')).toBe('{"a":');
    expect(historyData(null)).toBeNull();
  });
});
