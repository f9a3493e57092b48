import { describe, expect, it } from 'vitest';
import type { Message } from '../../ports/index.js';
import { fromHeaders, MalformedEnvelopeError, toHeaders, type AttributePrefix } from './index.js';

const message: Message = {
  id: '0198-id',
  tenant: 'acme',
  topic: 'inventory',
  key: 'saga-1 – ü',
  type: 'inventory.reserve',
  source: 'order-service',
  time: '2026-11-21T04:05:06.789Z',
  contentType: 'application/json',
  payload: Uint8Array.of(0, 255, 10),
  headers: {
    traceparent: '00-a-b-01',
    'sagaz-role': 'command',
    ce_myextension: 'kept',
    ce_dataschema: 'urn:acme:reserve:2',
  },
};

describe('an envelope', () => {
  for (const prefix of ['ce_', 'ce-', 'cloudEvents:'] satisfies AttributePrefix[]) {
    it(`comes back as it went, with the prefix ${prefix}`, () => {
      const headers = toHeaders(message, prefix);
      const { topic, payload } = message;
      expect(fromHeaders(headers, { topic, payload }, prefix)).toEqual(message);
    });
  }

  it('is a CloudEvent that others can read', () => {
    expect(toHeaders({ ...message, tenant: '', headers: {} }, 'ce_')).toEqual({
      'content-type': 'application/json',
      ce_specversion: '1.0',
      ce_id: '0198-id',
      ce_type: 'inventory.reserve',
      ce_source: 'order-service',
      ce_time: '2026-11-21T04:05:06.789Z',
      ce_partitionkey: 'saga-1 – ü',
    });
  });

  it('carries the name of a schema under the name that its binding gives it', () => {
    const prefix = 'cloudEvents:';
    const headers = toHeaders(message, prefix);
    expect(headers).toMatchObject({ 'cloudEvents:dataschema': 'urn:acme:reserve:2' });
    expect(headers).not.toHaveProperty('ce_dataschema');
    const foreign = { ...toHeaders({ ...message, headers: {} }, prefix), ce_dataschema: 'urn:x' };
    const read = fromHeaders(foreign, { topic: 'x', payload: Buffer.of() }, prefix);
    expect(read.headers).toEqual({});
  });

  it("lets no header of the user's take the place of an attribute", () => {
    const headers = toHeaders({ ...message, headers: { ce_id: 'forged' } }, 'ce_');
    expect(headers['ce_id']).toBe('0198-id');
  });

  it('can come from a producer that sets only what CloudEvents requires', () => {
    const headers = { ce_id: '1', ce_type: 't', ce_source: '/s' };
    const payload = Uint8Array.of(1);
    expect(fromHeaders(headers, { topic: 'x', payload, key: 'k' }, 'ce_')).toEqual({
      id: '1',
      tenant: '',
      topic: 'x',
      key: 'k',
      type: 't',
      source: '/s',
      time: '',
      contentType: 'application/octet-stream',
      payload,
      headers: {},
    });
  });

  it('is refused by name without what makes a message one message', () => {
    const payload = new Uint8Array(0);
    const complete = { ce_id: '1', ce_type: 't', ce_source: '/s' };
    for (const name of ['ce_id', 'ce_type', 'ce_source'] as const) {
      const { [name]: _missing, ...rest } = complete;
      const read = (): unknown => fromHeaders(rest, { topic: 'x', payload }, 'ce_');
      expect(read).toThrow(MalformedEnvelopeError);
      expect(read).toThrow(name);
    }
    const newer = { ...complete, ce_specversion: '2.0' };
    expect(() => fromHeaders(newer, { topic: 'x', payload }, 'ce_')).toThrow('ce_specversion');
  });
});
