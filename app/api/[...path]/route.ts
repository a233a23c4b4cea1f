import { unknownRoute } from '@/lib/server/api';

export const { GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS } = unknownRoute();
