/** How the text of a variable becomes the value of an option. */
type Reading = 'text' | 'number' | 'limit' | 'migrate' | 'roles' | 'list';

/** Every environment variable that sets an option, and the option it sets. */
export const ENVIRONMENT: readonly {
  readonly variable: string;
  readonly option: string;
  readonly reading: Reading;
}[] = [
  { variable: 'SAGAZ_SERVICE', option: 'service', reading: 'text' },
  { variable: 'SAGAZ_ROLES', option: 'roles', reading: 'roles' },
  { variable: 'SAGAZ_ENGINE_MAX_IN_FLIGHT', option: 'engine.maxInFlight', reading: 'number' },
  { variable: 'SAGAZ_ENGINE_MAX_STARTS', option: 'engine.maxStarts', reading: 'number' },
  { variable: 'SAGAZ_ENGINE_MAX_WAITS', option: 'engine.maxWaits', reading: 'number' },
  { variable: 'SAGAZ_ENGINE_LEASE', option: 'engine.lease', reading: 'text' },
  {
    variable: 'SAGAZ_ENGINE_KEEP_COMPLETED',
    option: 'engine.keep.completed',
    reading: 'limit',
  },
  {
    variable: 'SAGAZ_ENGINE_KEEP_COMPENSATED',
    option: 'engine.keep.compensated',
    reading: 'limit',
  },
  {
    variable: 'SAGAZ_ENGINE_KEEP_TERMINATED',
    option: 'engine.keep.terminated',
    reading: 'limit',
  },
  {
    variable: 'SAGAZ_ENGINE_KEEP_PARTIALLY_COMMITTED',
    option: 'engine.keep.partiallyCommitted',
    reading: 'limit',
  },
  {
    variable: 'SAGAZ_ENGINE_KEEP_KEYS',
    option: 'engine.keep.keys',
    reading: 'limit',
  },
  { variable: 'SAGAZ_RELAY_BATCH_SIZE', option: 'relay.batchSize', reading: 'number' },
  { variable: 'SAGAZ_RELAY_POLL_INTERVAL', option: 'relay.pollInterval', reading: 'text' },
  { variable: 'SAGAZ_RELAY_PUBLISH_TIMEOUT', option: 'relay.publishTimeout', reading: 'text' },
  { variable: 'SAGAZ_RELAY_LEASE', option: 'relay.lease', reading: 'text' },
  { variable: 'SAGAZ_RELAY_RETRY_ATTEMPTS', option: 'relay.retry.attempts', reading: 'number' },
  { variable: 'SAGAZ_RELAY_RETRY_BACKOFF', option: 'relay.retry.backoff', reading: 'text' },
  { variable: 'SAGAZ_RELAY_RETRY_MAX_DELAY', option: 'relay.retry.maxDelay', reading: 'text' },
  { variable: 'SAGAZ_INBOX_RETRY_ATTEMPTS', option: 'inbox.retry.attempts', reading: 'number' },
  { variable: 'SAGAZ_INBOX_RETRY_BACKOFF', option: 'inbox.retry.backoff', reading: 'text' },
  { variable: 'SAGAZ_INBOX_RETRY_MAX_DELAY', option: 'inbox.retry.maxDelay', reading: 'text' },
  { variable: 'SAGAZ_INBOX_CONCURRENCY', option: 'inbox.concurrency', reading: 'number' },
  { variable: 'SAGAZ_INBOX_TIMEOUT', option: 'inbox.timeout', reading: 'limit' },
  { variable: 'SAGAZ_INBOX_MAX_CRASHES', option: 'inbox.maxCrashes', reading: 'number' },
  { variable: 'SAGAZ_INBOX_KEEP_DONE', option: 'inbox.keepDone', reading: 'text' },
  { variable: 'SAGAZ_INBOX_KEEP_KEYS', option: 'inbox.keepKeys', reading: 'text' },
  { variable: 'SAGAZ_SIGNING_KEYS', option: 'signing.keys', reading: 'list' },
  { variable: 'SAGAZ_SIGNING_UNSIGNED', option: 'signing.unsigned', reading: 'text' },
  { variable: 'SAGAZ_MIGRATE', option: 'migrate', reading: 'migrate' },
  { variable: 'SAGAZ_START_TIMEOUT', option: 'startTimeout', reading: 'text' },
  { variable: 'SAGAZ_SHUTDOWN_TIMEOUT', option: 'shutdownTimeout', reading: 'text' },
];

const ROLES: readonly string[] = ['engine', 'relay', 'consume'];

type Tree = Record<string, unknown>;

/** Copies plain objects at all levels. Drivers and other values are not copied. */
function copied(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  if ('create' in value) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, copied(inner)]));
}

function read(text: string, reading: Reading): unknown {
  const trimmed = text.trim();
  switch (reading) {
    case 'number':
      // A value that is no number stays text, so that the error shows the given value.
      return /^-?\d+(\.\d+)?$/.test(trimmed) ? Number(trimmed) : trimmed;
    case 'limit':
      return trimmed === 'false' ? false : trimmed;
    case 'migrate':
      return trimmed === 'true' ? true : trimmed === 'false' ? false : trimmed;
    case 'roles': {
      const named = trimmed.split(',').map((role) => role.trim());
      // A list with an unknown role stays text, so that the error shows the given list.
      if (named.some((role) => !ROLES.includes(role))) return trimmed;
      return Object.fromEntries(ROLES.map((role) => [role, named.includes(role)]));
    }
    case 'list':
      return trimmed.split(',').map((part) => part.trim());
    case 'text':
      return trimmed;
  }
}

function put(tree: Tree, path: readonly string[], value: unknown): void {
  const [name, ...rest] = path;
  if (name === undefined) return;
  if (rest.length === 0) {
    tree[name] = value;
    return;
  }
  const inner = tree[name];
  const next: Tree = typeof inner === 'object' && inner !== null ? { ...inner } : {};
  tree[name] = next;
  put(next, rest, value);
}

/** Returns the options overridden by environment variables, and the variable that set each of them. */
export function withEnvironment(
  options: unknown,
  environment: Readonly<Record<string, string | undefined>>,
): { readonly options: unknown; readonly variables: ReadonlyMap<string, string> } {
  const variables = new Map<string, string>();
  const merged = copied(options);
  if (typeof merged !== 'object' || merged === null) return { options: merged, variables };
  const tree: Tree = { ...merged };
  for (const { variable, option, reading } of ENVIRONMENT) {
    const text = environment[variable];
    // An empty variable counts as not set, because shells and manifests set variables to the empty text
    // to leave them out.
    if (text === undefined || text.trim() === '') continue;
    put(tree, option.split('.'), read(text, reading));
    variables.set(option, variable);
    // `signing.key` and `signing.keys` set the same thing, so the variable overrides both.
    if (option === 'signing.keys') put(tree, ['signing', 'key'], undefined);
  }
  return { options: tree, variables };
}
