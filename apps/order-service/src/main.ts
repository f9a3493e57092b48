import 'reflect-metadata';
import { StandardSchemaValidationPipe } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { connectSagaz, traceRequests } from '@sagaz/nestjs';
import { Logger } from 'nestjs-pino';
import { AppModule } from './app.module.js';
import { readConfig } from './config.js';

const app = await NestFactory.create(AppModule, { bufferLogs: true });
app.useLogger(app.get(Logger));
// Without OpenTelemetry; with it, its instrumentation does this.
app.use(traceRequests);
app.useGlobalPipes(new StandardSchemaValidationPipe());
SwaggerModule.setup('openapi', app, () =>
  SwaggerModule.createDocument(
    app,
    new DocumentBuilder().setTitle('Orders').setVersion('1').build(),
  ),
);
connectSagaz(app);
await app.startAllMicroservices();
await app.listen(readConfig().PORT);
