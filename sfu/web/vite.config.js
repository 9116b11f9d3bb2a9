import preact from '@preact/preset-vite';
import { defineConfig } from 'vite';

// Absolute asset paths, since the same page is served at / and at /meetings/{id}/join.
export default defineConfig({
  base: '/',
  plugins: [preact()],
  build: { outDir: 'dist', assetsInlineLimit: 0, modulePreload: { polyfill: false }, target: 'es2022' },
  server: { proxy: { '/api': 'http://localhost:8080', '/ws': { target: 'ws://localhost:8080', ws: true } } },
});
