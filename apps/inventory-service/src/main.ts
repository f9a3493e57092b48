import 'reflect-metadata';
import { StandardSchemaValidationPipe } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { connectSagaz, traceRequests } from '@sagaz/nestjs';
import { Logger } from 'nestjs-pino';
import { AppModule } from './app.module.js';
import { readConfig } from './config.js';

const app = await NestFactory.create(AppModule, { bufferLogs: true });
app.useLogger(app.get(Logger));
// Without OpenTelemetry; with it, its instrumentation does this.
app.use(traceRequests);
app.useGlobalPipes(new StandardSchemaValidationPipe());
connectSagaz(app);
await app.startAllMicroservices();
await app.listen(readConfig().PORT);
