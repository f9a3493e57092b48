import { describeEachPostgres } from '@sagaz/test-support';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BrokerDatabase, freshTopic, hasty, Inbox, message } from './broker.fixture.js';

describeEachPostgres('announcements of the Postgres broker', (server) => {
  let database: BrokerDatabase;

  beforeAll(async () => {
    database = await BrokerDatabase.open(server);
  });
  afterAll(async () => {
    await database.closeBrokers();
    await database.drop();
  });

  it('go out with the commit of a few messages, after that of many, and never both', async () => {
    const [topic, inbox, consumer, one] = [
      freshTopic(),
      new Inbox(),
      await database.broker(),
      await database.broker({ service: 'publisher', clock: hasty }),
    ];
    const subscribe = (group: string): Promise<unknown> =>
      consumer.subscribe({ group, topics: [topic], concurrency: 1, handle: inbox.handle });
    await subscribe(topic);
    const listener = new pg.Client({ connectionString: database.url });
    const heard: { readonly from: string; readonly groups: string[] }[] = [];
    let told: () => void = () => undefined;
    try {
      await listener.connect();
      listener.on('notification', ({ processId, payload }) => {
        const { hints } = JSON.parse(payload ?? '{}') as { hints: Record<string, string[]> };
        const groups = Object.keys(hints).filter((name) => name.startsWith(`queue:${topic}`));
        if (groups.length > 0) heard.push({ from: String(processId), groups: groups.sort() });
        told();
      });
      await listener.query('LISTEN wake_sagaz_broker');
      const notified = async (count: number): Promise<void> => {
        while (heard.length < count) await new Promise<void>((resolve) => (told = resolve));
      };
      const writers = async (ids: readonly string[]): Promise<string[]> => {
        const { rows } = await database.admin.query<{ pid: string }>(
          `SELECT DISTINCT writer.pid::text AS pid FROM publication_writer AS writer WHERE id = ANY ($1)`,
          [ids],
        );
        return rows.map(({ pid }) => pid);
      };
      await database.admin.query(`CREATE TABLE publication_writer (id text, pid integer);
        CREATE FUNCTION note_writer() RETURNS trigger LANGUAGE plpgsql AS
          'BEGIN INSERT INTO public.publication_writer VALUES (NEW.id, pg_backend_pid()); RETURN NEW; END';
        CREATE TRIGGER note_writer AFTER INSERT ON sagaz_broker.message
          FOR EACH ROW EXECUTE FUNCTION note_writer()`);
      const publish = async (count: number): Promise<{ from: string[]; by: string[] }> => {
        const before = heard.length;
        const sent = Array.from({ length: count }, (_, i) => message(topic, `k${String(i)}`));
        for (const { kind } of await one.publish(sent)) expect(kind).toBe('acknowledged');
        await notified(before + 1);
        const by = await writers(sent.map(({ id }) => id));
        return { from: heard.slice(before).map(({ from }) => from), by };
      };
      // Nobody knows yet who is to be told.
      const first = await publish(1);
      expect(first.from).not.toEqual(first.by);
      const second = await publish(1);
      expect(second.from).toEqual(second.by);
      const many = await publish(40);
      expect(many.from).not.toEqual(many.by);
      // A group that has joined since then is told, too, afterwards; from then on by the commit.
      await subscribe(`${topic}.other`);
      const before = heard.length;
      await publish(1);
      await notified(before + 2);
      expect(
        heard
          .slice(before)
          .flatMap(({ groups }) => groups)
          .sort(),
      ).toEqual([`queue:${topic}`, `queue:${topic}.other`]);
      const last = await publish(1);
      expect(last.from).toEqual(last.by);
      expect(heard.at(-1)?.groups).toEqual([`queue:${topic}`, `queue:${topic}.other`]);
      await inbox.count(43 + 3);
      expect(heard).toHaveLength(6);
    } finally {
      await listener.end();
    }
  });
});
