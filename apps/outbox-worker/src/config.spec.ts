import { describe, expect, it } from 'vitest';
import { readConfig } from './config.js';

describe('the configuration of the outbox worker', () => {
  const broker = { BROKER_URL: 'postgres://h/broker' };

  it('lists the databases whose outboxes are emptied', () => {
    const { OUTBOX_DATABASES } = readConfig({
      ...broker,
      OUTBOX_DATABASES: 'orders=postgres://h/o, payments=postgres://h/p?x=1',
    });
    expect(OUTBOX_DATABASES).toEqual([
      { name: 'orders', url: 'postgres://h/o' },
      { name: 'payments', url: 'postgres://h/p?x=1' },
    ]);
  });

  it('takes a variable that is there and empty for one that is not set', () => {
    const environment = { ...broker, OUTBOX_DATABASES: 'orders=postgres://h/o' };
    for (const empty of ['', ' ']) {
      expect(readConfig({ ...environment, MANAGEMENT_PORT: empty }).MANAGEMENT_PORT).toBe(4003);
      expect(() => readConfig({ ...environment, BROKER_URL: empty })).toThrow('BROKER_URL');
    }
  });

  it.each([
    ['orders=postgres://h/o,orders=postgres://h/p', 'names must differ'],
    ['postgres://h/o', 'expected name=url'],
    ['orders=mysql://h/o', 'Invalid URL'],
  ])('refuses %s: %s', (OUTBOX_DATABASES, problem) => {
    expect(() => readConfig({ ...broker, OUTBOX_DATABASES })).toThrow(problem);
  });
});
