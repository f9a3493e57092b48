import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import { readConfig } from './config.js';
import { firstLogger } from './logging.js';

const app = await NestFactory.create(AppModule, { logger: firstLogger() });
app.enableShutdownHooks();
await app.listen(readConfig().MANAGEMENT_PORT);
