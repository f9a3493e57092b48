import amqp from 'amqplib';
import pg from 'pg';
import type { ServerKind } from './find-servers.js';

const ANSWERS_WITHIN_MS = 5_000;

/** A PostgreSQL beside the embedded one, of another major where the machine has one. */
export const POSTGRESQL: ServerKind = {
  name: 'PostgreSQL',
  variable: 'SAGAZ_TEST_POSTGRES_URL',
  usualUrl: 'postgres://postgres@127.0.0.1:5432/postgres',
  probe: async (connectionString) => {
    const client = new pg.Client({ connectionString, connectionTimeoutMillis: ANSWERS_WITHIN_MS });
    try {
      await client.connect();
    } finally {
      await client.end();
    }
  },
  container: {
    image: 'postgres:15-alpine',
    port: 5432,
    environment: { POSTGRES_HOST_AUTH_METHOD: 'trust' },
    urlOf: (host, port) => `postgres://postgres@${host}:${String(port)}/postgres`,
  },
};

export const RABBITMQ: ServerKind = {
  name: 'RabbitMQ',
  variable: 'SAGAZ_TEST_RABBITMQ_URL',
  usualUrl: 'amqp://guest:guest@127.0.0.1:5672',
  probe: async (url) => {
    const connection = await amqp.connect(url, { timeout: ANSWERS_WITHIN_MS });
    await connection.close();
  },
  container: {
    image: 'rabbitmq:4-alpine',
    port: 5672,
    environment: {},
    urlOf: (host, port) => `amqp://guest:guest@${host}:${String(port)}`,
  },
};
