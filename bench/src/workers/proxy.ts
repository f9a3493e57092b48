import net from 'node:net';

/** The parent's message: the address of the database, and the delay of each piece of data one way. */
export interface ProxyRun {
  readonly host: string;
  readonly port: number;
  readonly delayMs: number;
}
/** The number of flights so far, by the `application_name` of the connections; '' for those without one. */
export type Flights = Readonly<Record<string, number>>;

interface Piece {
  readonly due: number;
  readonly send: () => void;
}

/** How long the process sleeps at once while a piece of data is under way, in milliseconds. */
const NAP_MS = 0.05;
const napping = new Int32Array(new SharedArrayBuffer(4));

const { host, port, delayMs } = JSON.parse(process.argv[2] ?? '{}') as ProxyRun;
const flights = new Map<string, number>();
/** All pieces are delayed by the same time, so the first in is the first that is due. */
const underWay: Piece[] = [];
let first = 0;

const server = net.createServer({ noDelay: true }, (client) => {
  const upstream = net.connect({ host, port, noDelay: true });
  let application: string | null = null;
  /** Whether the server has said something since the client did, as the client sees it. */
  let answered = true;
  client.on('error', () => undefined);
  upstream.on('error', () => undefined);
  client.on('close', () => upstream.destroy());
  upstream.on('close', () => client.destroy());
  client.on('data', (data) => {
    application ??= applicationOf(data);
    if (answered) flights.set(application, (flights.get(application) ?? 0) + 1);
    answered = false;
    later(() => upstream.write(data));
  });
  upstream.on('data', (data) => {
    later(() => {
      answered = true;
      client.write(data);
    });
  });
});

/** The start-up packet is a list of names and values, each ended by a zero. */
function applicationOf(startUp: Buffer): string {
  const words = startUp.toString('latin1').split('\0');
  const at = words.indexOf('application_name');
  return at === -1 ? '' : (words[at + 1] ?? '');
}

function later(send: () => void): void {
  if (delayMs === 0) {
    send();
    return;
  }
  underWay.push({ due: performance.now() + delayMs, send });
  if (underWay.length - first === 1) setImmediate(turn);
}

/**
 * Node's timers count whole milliseconds. While data is under way this process therefore goes round its
 * event loop without a timer and sleeps for a moment each time, so that it leaves the processor to others.
 */
function turn(): void {
  const now = performance.now();
  for (let piece = underWay[first]; piece !== undefined && piece.due <= now;) {
    piece.send();
    first += 1;
    piece = underWay[first];
  }
  if (first === underWay.length) {
    underWay.length = 0;
    first = 0;
    return;
  }
  if (first > 1_000) {
    underWay.splice(0, first);
    first = 0;
  }
  const wait = (underWay[first]?.due ?? now) - performance.now();
  if (wait > 0) Atomics.wait(napping, 0, 0, Math.min(wait, NAP_MS));
  setImmediate(turn);
}

server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.send?.(typeof address === 'object' && address !== null ? address.port : null);
});
process.on('message', () => {
  process.send?.(Object.fromEntries(flights));
});
process.once('disconnect', () => process.exit(0));
