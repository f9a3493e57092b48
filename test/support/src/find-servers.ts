import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

/** A kind of server that tests use where there is one. */
export interface ServerKind {
  readonly name: string;
  /** Environment variable with URLs of running ones, separated by commas; empty: use none. */
  readonly variable: string;
  /** The address at which such a server runs on most developers' machines. */
  readonly usualUrl: string;
  /** Throws when no server of this kind answers there. */
  readonly probe: (url: string) => Promise<void>;
  readonly container: ContainerOfKind;
}

/** The container to start if Docker runs. */
export interface ContainerOfKind {
  readonly image: string;
  readonly port: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly urlOf: (host: string, port: number) => string;
}

/** A server that was looked for and not found. */
export interface AbsentServer {
  readonly name: string;
  /** Says where the server was looked for and how to name one. */
  readonly reason: string;
}

/** The servers of one kind for this run. */
export interface FoundServers {
  readonly urls: readonly string[];
  readonly absent: readonly AbsentServer[];
  /** Ends the servers that were started for the run; other servers are left running. */
  readonly stop: () => Promise<void>;
}

/** Other places to look, which only the spec of this file gives. */
export interface Surrounding {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Why containers cannot be started; undefined where they can. */
  readonly dockerMissing: () => Promise<string | undefined>;
  readonly start: (container: ContainerOfKind) => Promise<{ url: string; stop(): Promise<void> }>;
}

const machine: Surrounding = { environment: process.env, dockerMissing, start: startContainer };

/**
 * Decides which servers of a kind a run uses: those that the variable names, and no others even if they
 * do not answer; else the one at the usual port; else one in a container if Docker runs; else none,
 * with the reason.
 */
export async function findServers(
  kind: ServerKind,
  { environment, dockerMissing, start }: Surrounding = machine,
): Promise<FoundServers> {
  const named = environment[kind.variable];
  if (named !== undefined) {
    const looks = named
      .split(',')
      .filter(Boolean)
      .map((url) => look(kind, url));
    const seen = await Promise.all(looks);
    return {
      urls: seen.filter(({ problem }) => problem === undefined).map(({ url }) => url),
      absent: seen.flatMap(({ url, problem }) =>
        problem === undefined ? [] : [absentAt(kind, url, `${kind.variable} names it: ${problem}`)],
      ),
      stop: nothing,
    };
  }
  const { problem } = await look(kind, kind.usualUrl);
  if (problem === undefined) return { urls: [kind.usualUrl], absent: [], stop: nothing };
  const missing = await dockerMissing();
  const started = missing ?? (await inContainer(kind, start));
  if (typeof started !== 'string') return started;
  const reason = `${problem}; ${started}; name yours in ${kind.variable}`;
  return { urls: [], absent: [absentAt(kind, kind.usualUrl, reason)], stop: nothing };
}

/** Starts a server in a container, or returns the reason why that is not possible. */
async function inContainer(
  kind: ServerKind,
  start: Surrounding['start'],
): Promise<FoundServers | string> {
  try {
    const { url, stop } = await start(kind.container);
    // A port is open before the server behind it is ready.
    for (let tries = 1; (await look(kind, url)).problem !== undefined; tries += 1) {
      if (tries < READY_AFTER_TRIES) await sleep(BETWEEN_TRIES_MS);
      else {
        await stop();
        return `${kind.container.image} in Docker does not get ready`;
      }
    }
    return { urls: [url], absent: [], stop };
  } catch (error) {
    return `Docker cannot start ${kind.container.image}: ${textOf(error)}`;
  }
}

const READY_AFTER_TRIES = 120;
const BETWEEN_TRIES_MS = 500;

const nothing = (): Promise<void> => Promise.resolve();

async function look(kind: ServerKind, url: string): Promise<{ url: string; problem?: string }> {
  try {
    await kind.probe(url);
    return { url };
  } catch (error) {
    return { url, problem: textOf(error) };
  }
}

function absentAt({ name }: ServerKind, url: string, why: string): AbsentServer {
  // Never the whole URL: it may hold a password.
  const host = URL.canParse(url) ? new URL(url).host : 'what is no URL';
  return { name: `${name} at ${host}`, reason: `no ${name} at ${host} (${why})` };
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? String(error.code) : error.name;
  return error.message || code;
}

const DOCKER_ANSWERS_WITHIN_MS = 5_000;

/** The command asks the Docker engine, so a client without an engine does not count. */
export async function dockerMissing(): Promise<string | undefined> {
  const options = { timeout: DOCKER_ANSWERS_WITHIN_MS };
  try {
    await promisify(execFile)('docker', ['info', '--format', '{{.ServerVersion}}'], options);
    return undefined;
  } catch {
    return 'Docker does not run either';
  }
}

/** Loaded only when it is needed, because most runs start no container. */
async function startContainer({
  image,
  port,
  environment,
  urlOf,
}: ContainerOfKind): Promise<{ url: string; stop(): Promise<void> }> {
  const { GenericContainer } = await import('testcontainers');
  const container = await new GenericContainer(image)
    .withEnvironment(environment)
    .withExposedPorts(port)
    .start();
  const url = urlOf(container.getHost(), container.getMappedPort(port));
  return {
    url,
    stop: async () => {
      await container.stop();
    },
  };
}
