import 'reflect-metadata';
import { StandardSchemaValidationPipe } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { connectSagaz, traceRequests } from '@sagaz/nestjs';
import { serveManagement } from '@sagaz/nestjs/health';
import { AppModule } from './app.module.js';
import { readConfig } from './config.js';
import { firstLogger } from './logging.js';

const config = readConfig();
const app = await NestFactory.create(AppModule, { logger: firstLogger() });
const management = serveManagement(app);
// Without OpenTelemetry; with it, its instrumentation does this.
app.use(traceRequests);
app.useGlobalPipes(new StandardSchemaValidationPipe());
connectSagaz(app);
await app.startAllMicroservices();
await app.listen(config.PORT);
await management.listen(config.MANAGEMENT_PORT);
