import { describe, expect, it } from 'vitest';
import { decodeEntry, encodeEntry, type SagaEntry } from './index.js';

const reply = { kind: 'reply', messageId: 'm', type: 'stock.reserve', key: 'k' } as const;
const waiting: SagaEntry = {
  kind: 'waiting',
  role: 'step',
  step: 'reserve',
  item: null,
  attempt: 1,
  for: reply,
  timeoutMs: 60_000,
};

describe('an entry of a task that waits', () => {
  it('comes back as it was written', () => {
    const named: SagaEntry = { ...waiting, for: { ...reply, handledBy: 'inventory' } };
    for (const entry of [waiting, named]) expect(decodeEntry(encodeEntry(entry))).toEqual(entry);
  });

  it.each([
    [{ for: { kind: 'moon' }, timeoutMs: 1 }, 'or what it waits for', 'a newer one'],
    [{ for: { kind: 'reply', type: 'a.b' }, timeoutMs: 1 }, "It has no 'for'", 'Mend'],
    [{ for: 7, timeoutMs: 1 }, "It has no 'for'", 'Mend'],
    [{ for: reply }, "It has no 'timeoutMs'", 'Mend'],
  ])('is not read where it says %j', (data, problem, remedy) => {
    const written = { ...encodeEntry(waiting), data: JSON.stringify(data) };
    expect(() => decodeEntry(written)).toThrow(problem);
    expect(() => decodeEntry(written)).toThrow(remedy);
  });
});
