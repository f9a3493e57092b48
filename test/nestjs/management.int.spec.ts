import { Controller, Get, Module, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ManagementTooEarlyError, serveManagement } from '@sagaz/nestjs/health';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';

@Controller()
class Everything {
  @Get('orders')
  orders(): string {
    return 'orders';
  }

  @Get(['metrics', 'health/ready', 'openapi', 'openapi-json', 'healthy', 'constructor'])
  other(): string {
    return 'other';
  }
}

@Module({ controllers: [Everything] })
class App {}

describe('the management port of an application', () => {
  let app: INestApplication | undefined;
  afterEach(async () => {
    await app?.close();
    app = undefined;
  });

  async function start(): Promise<{ publicPort: number; managementPort: number }> {
    app = await NestFactory.create(App, { logger: false });
    const management = serveManagement(app);
    await app.listen(0, '127.0.0.1');
    const managementPort = await management.listen(0, '127.0.0.1');
    const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
    return { publicPort: port, managementPort };
  }

  const status = async (port: number, path: string): Promise<number> =>
    (await fetch(`http://127.0.0.1:${String(port)}${path}`)).status;

  it('has what operators may see, which the public port does not have', async () => {
    const { publicPort, managementPort } = await start();
    for (const path of ['/metrics', '/health/ready', '/openapi', '/openapi-json', '/metrics?x=1']) {
      expect([path, await status(publicPort, path)]).toEqual([path, 404]);
      expect([path, await status(managementPort, path)]).toEqual([path, 200]);
    }
  });

  it('has nothing else', async () => {
    const { publicPort, managementPort } = await start();
    for (const path of ['/orders', '/healthy', '/constructor']) {
      expect([path, await status(publicPort, path)]).toEqual([path, 200]);
      expect([path, await status(managementPort, path)]).toEqual([path, 404]);
    }
  });

  it.each([
    '/METRICS',
    '/metrics/',
    '//metrics',
    '/%6detrics',
    '/metrics#x',
    '/./metrics',
    '/x/../metrics',
    'http://other/metrics',
    '/metrics%',
  ])('is not reached through the public port by writing %s', async (target) => {
    const { publicPort } = await start();
    expect(await raw(publicPort, target)).toMatch(/^HTTP\/1\.1 40[04]/);
  });

  it('closes with the application', async () => {
    const { managementPort } = await start();
    await app?.close();
    app = undefined;
    await expect(status(managementPort, '/metrics')).rejects.toThrow();
  });

  it('is refused before the application listens, and says what to do', async () => {
    app = await NestFactory.create(App, { logger: false });
    const management = serveManagement(app);
    await app.init();
    await expect(management.listen(0)).rejects.toThrow(ManagementTooEarlyError);
  });
});

/** Sends a target as it is: `fetch` would tidy it up. */
function raw(port: number, target: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(`GET ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
    });
    socket.setEncoding('utf8').on('data', (text: string) => {
      answer += text;
    });
    socket.on('end', () => {
      resolve(answer);
    });
    socket.on('error', reject);
  });
}
