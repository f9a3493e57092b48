import { defineEvent, systemClock } from '@sagaz/core';
import { describe, expect, it } from 'vitest';
import { draftMessage, type MessageOptions } from './message-draft.js';

const Happened = defineEvent<{ text: string }>()('order.happened');

/** As from JavaScript, or from options that came out of a request. */
function refusal(options: unknown, payload = { text: 'x' }, contract: object = Happened): string {
  try {
    // Options are read by name, so whatever they hold reaches the check as it is.
    draftMessage(contract as typeof Happened, payload, options as MessageOptions, systemClock);
  } catch (error) {
    return String(error);
  }
  return 'none';
}

describe('a message', () => {
  it('is refused at the call with a key that no store could take', () => {
    for (const [key, said] of [
      ['', 'its key is empty'],
      [5, 'its key is 5'],
      [null, 'its key is null'],
      ['a\0b', String.raw`its key is 'a\x00b'`],
      ['a\r\nb', String.raw`its key is 'a\r\nb'`],
      ['\ud800', 'its key is '],
      ['k'.repeat(3_000), 'tenant, topic and key have 3005 bytes'],
      ['ü'.repeat(1_000), 'tenant, topic and key have 2005 bytes'],
    ] as const) {
      expect(refusal({ key })).toContain(`'order.happened' cannot be published: ${said}`);
    }
    expect(refusal({ key: 'k'.repeat(1_995) })).toBe('none');
  });

  it('is refused with options that mean nothing', () => {
    expect(refusal({ keey: 'x' })).toContain("there is no option 'keey'. Give one of key, ordered");
    for (const none of [null, 5, []]) {
      expect(refusal(none)).toMatch(/its options are .*\. Give \{ key, ordered, delay/);
    }
    expect(refusal({ ordered: 'no' })).toContain("ordered is 'no'");
    expect(refusal({ tenant: 4 })).toContain('its tenant is 4');
    expect(refusal({ delay: -1 })).toContain("delay of 'order.happened': -1 is negative");
  });

  it('is refused with headers that a broker would not carry as they are', () => {
    for (const [headers, said] of [
      [{ ce_id: 'x' }, "The header 'ce_id' of 'order.happened' belongs to Sagaz"],
      [{ 'Sagaz-Saga-Id': 'x' }, "The header 'Sagaz-Saga-Id' of 'order.happened' belongs to Sagaz"],
      [{ 'a\r\nb': 'x' }, 'has no such name'],
      [{ a: 'x\r\nevil: 1' }, "The header 'a' of 'order.happened' is no line of text"],
      [{ a: 'x\0' }, 'is no line of text'],
      [{ a: 5 }, 'is no text'],
      [{ a: '1', A: '2' }, "The header 'A' of 'order.happened' is there twice"],
      [{ a: 'x'.repeat(70_000) }, 'makes its headers longer than 65536 bytes'],
      [['x'], 'is no object of names and values'],
      ['abc', 'is no object of names and values'],
    ] as const) {
      expect(refusal({ headers })).toContain(said);
    }
    expect(refusal({ headers: { 'X-Request-Id': 'münchen 1' } })).toBe('none');
  });

  it('is refused when it is larger than any relay could send', () => {
    const mebibyte = 'x'.repeat(1 << 20);
    expect(refusal({}, { text: mebibyte })).toBe('none');
    expect(refusal({}, { text: mebibyte.repeat(16) })).toContain('at most 16777216 can be sent');
  });

  it('is refused without a contract', () => {
    expect(refusal({}, { text: 'x' }, { type: 'order.happened' })).toContain('it is no contract');
  });
});
