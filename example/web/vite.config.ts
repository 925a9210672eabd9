import { defineConfig, loadEnv } from 'vite';

export default defineConfig(({ mode }) => {
  const root = import.meta.dirname;
  // Variables of the process win over those in .env files; both reach the app as import.meta.env.
  const env = loadEnv(mode, root, 'VITE_');
  // The passkeys belong to one origin, so the port must be the configured one or none.
  const server = { host: 'localhost', port: Number(env['VITE_APP_PORT'] || 8081), strictPort: true };
  return {
    root,
    server,
    preview: server,
    build: { target: 'es2022' },
  };
});
