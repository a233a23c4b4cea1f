/** Answers of the REST API held against its own OpenAPI document. */
import Ajv2020 from 'ajv/dist/2020';
import { z } from 'zod';

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;
const responseSchema = z.object({ content: z.record(z.string(), z.object({ schema: z.looseObject({}) })).optional() });
const operationSchema = z.object({ responses: z.record(z.string(), responseSchema) });
const documentSchema = z.looseObject({
  paths: z.record(z.string(), z.partialRecord(z.enum(METHODS), operationSchema)),
});

/** What was answered to a request for a URL as a route file names it, such as `/api/terminal/[sessionId]`. */
export type Answer = { method: string; url: string; status: number; contentType: string; json: unknown };

/** The document, compiled. */
export class ApiDocument {
  readonly paths: z.infer<typeof documentSchema>['paths'];
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true });

  constructor(document: unknown) {
    this.paths = documentSchema.parse(document).paths;
    this.#ajv.addSchema(z.looseObject({}).parse(document), 'api');
  }

  /** What the answer has that the document does not say, in words; null when it is as documented. */
  problemOf({ method, url, status, contentType, json }: Answer): string | null {
    const path = url.replaceAll('[', '{').replaceAll(']', '}');
    const verb = z.enum(METHODS).safeParse(method.toLowerCase());
    const operation = verb.success ? this.paths[path]?.[verb.data] : undefined;
    // Every URL refuses the verbs that it does not have, and so does every URL that leads nowhere.
    if (!operation)
      return status === 405 || status === 404 || method === 'OPTIONS' ? null : `${method} ${path}: not documented`;
    const content = operation.responses[status]?.content;
    if (!content) return `${method} ${path}: ${status} is not documented`;
    const [media = ''] = contentType.split(';');
    const pointer = `api#/paths/${escaped(path)}/${method.toLowerCase()}/responses/${status}/content/${escaped(media)}/schema`;
    if (!content[media]) return `${method} ${path}: ${status} as ${media} is not documented`;
    if (media !== 'application/json') return null;
    const validate = this.#ajv.getSchema(pointer);
    if (!validate) throw new Error(`no schema at ${pointer}`);
    if (validate(json) === true) return null;
    return `${method} ${path}: ${status}: ${this.#ajv.errorsText(validate.errors ?? null)}`;
  }
}

function escaped(part: string): string {
  return encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'));
}
