import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

const SERVICE = fileURLToPath(new URL('../faults/dist/http-service.js', import.meta.url));

/** A service in a process of its own. */
class Service {
  readonly #process: ChildProcess;
  readonly #lines: string[] = [];
  #heard: () => void = () => undefined;
  readonly ended: Promise<unknown[]>;

  constructor(url: string, engine: boolean) {
    this.#process = spawn(process.execPath, [SERVICE], {
      env: { ...process.env, DATABASE_URL: url, ENGINE: String(engine) },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.ended = once(this.#process, 'exit');
    createInterface({ input: this.#process.stdout! }).on('line', (line) => {
      this.#lines.push(line);
      this.#heard();
    });
  }

  /** The first line that begins so, once it is there. */
  async line(start: string): Promise<string> {
    for (;;) {
      const found = this.#lines.find((line) => line.startsWith(start));
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => (this.#heard = resolve));
    }
  }

  async url(path: string): Promise<string> {
    return (await this.line('listens at ')).replace('listens at ', '') + path;
  }

  stop(): void {
    this.#process.kill('SIGTERM');
  }

  kill(): void {
    if (this.#process.exitCode === null) this.#process.kill('SIGKILL');
  }
}

// Processes start slowly where much else runs; none of these times is a promise.
describe('a process that is told to stop while requests are open', { timeout: 120_000 }, () => {
  let db: TestDatabase;
  let service: Service | undefined;

  beforeAll(async () => {
    db = await createDatabase(postgresServers()[0]!);
  });
  afterEach(() => service?.kill());
  afterAll(() => db.drop());

  it.each([
    ['runs', true],
    ['does not run', false],
  ])(
    'answers those that wait for a saga at once by 503, where it %s sagas itself',
    async (_, engine) => {
      service = new Service(db.url, engine);
      const answer = fetch(await service.url('/wait'), { method: 'POST' });
      await service.line('waits');
      service.stop();
      const response = await answer;
      expect(response.status).toBe(503);
      expect(response.headers.get('retry-after')).toBe('1');
      expect(await response.json()).toMatchObject({
        statusCode: 503,
        code: 'SAGAZ_SAGA_WAIT_ENDED',
        sagaId: expect.any(String) as string,
        message: 'This process shuts down; the saga goes on.',
      });
      expect(await service.ended).toEqual([null, 'SIGTERM']);
    },
  );

  it('closes the connection of one that is never answered, and ends', async () => {
    service = new Service(db.url, true);
    const answer = fetch(await service.url('/hang')).catch((error: unknown) => error);
    await service.line('hangs');
    service.stop();
    expect(await answer).toBeInstanceOf(TypeError);
    expect(await service.ended).toEqual([null, 'SIGTERM']);
  });
});
