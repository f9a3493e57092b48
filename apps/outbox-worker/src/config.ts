import { z } from 'zod';

const postgresUrl = z.url({ protocol: /^postgres(ql)?$/ });

const schema = z.object({
  /** Databases whose outboxes are emptied: `orders=postgres://…,payments=postgres://…`. */
  OUTBOX_DATABASES: z
    .string()
    .transform((text) => text.split(',').map((entry) => entry.trim()))
    .pipe(z.array(z.string().regex(/^[a-z][a-z0-9_-]*=.+$/, 'expected name=url')).min(1))
    .transform((entries) =>
      entries.map((entry) => {
        const at = entry.indexOf('=');
        return { name: entry.slice(0, at), url: entry.slice(at + 1) };
      }),
    )
    .pipe(z.array(z.object({ name: z.string(), url: postgresUrl })))
    // The second would take the place of the first, whose messages then never leave.
    .refine(
      (databases) => new Set(databases.map(({ name }) => name)).size === databases.length,
      'names must differ',
    ),
  BROKER_URL: postgresUrl,
  /** Where /metrics and /health are; it serves nothing else. */
  MANAGEMENT_PORT: z.coerce.number().int().min(0).max(65_535).default(4003),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace']).default('info'),
});

export type Config = z.infer<typeof schema>;

/** Reads the environment once. A missing or wrong variable stops the start with its name. */
export function readConfig(environment: NodeJS.ProcessEnv = process.env): Config {
  // `PORT=` in a file of variables means: not set. Read as a number it would be 0.
  const set = Object.entries(environment).filter(([, value]) => value?.trim() !== '');
  const result = schema.safeParse(Object.fromEntries(set));
  if (!result.success) {
    throw new Error(
      `The environment is not complete; src/config.ts lists the variables:\n${z.prettifyError(result.error)}`,
    );
  }
  return result.data;
}
