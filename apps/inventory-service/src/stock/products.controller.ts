import {
  Body,
  Controller,
  Get,
  HttpCode,
  NotFoundException,
  Param,
  Put,
  UseGuards,
} from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Repository } from 'typeorm';
import { z } from 'zod';
import { AdminGuard } from '../admin.guard.js';
import { Product } from './product.entity.js';

const sku = z
  .string()
  .trim()
  .min(1)
  .max(100)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'must have no control characters and no half characters');
const productSheet = z
  .array(
    z.object({
      sku,
      name: z
        .string()
        .trim()
        .min(1)
        .max(200)
        .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'must have no control characters and no half characters'),
      stock: z.int().nonnegative().max(1_000_000_000),
    }),
  )
  .min(1)
  .max(1_000);
type ProductSheet = z.infer<typeof productSheet>;

@Controller('products')
export class ProductsController {
  constructor(@InjectRepository(Product) private readonly products: Repository<Product>) {}

  /** Adds products. Those that are there already stay as they are. */
  @Put()
  @UseGuards(AdminGuard)
  @HttpCode(204)
  async add(@Body({ schema: productSheet }) sheet: ProductSheet): Promise<void> {
    await this.products.createQueryBuilder().insert().values(sheet).orIgnore().execute();
  }

  @Get(':sku')
  async get(@Param('sku', { schema: sku }) id: string): Promise<Product> {
    const product = await this.products.findOneBy({ sku: id });
    if (product === null) throw new NotFoundException(`There is no product ${id}.`);
    return product;
  }
}
