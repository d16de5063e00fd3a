// tests/bench/oidc_provider.js - node-oidc-provider answering the same refreshes: JWT access tokens, rotation.
// SPDX-License-Identifier: MIT
//
//   node oidc_provider.js MODULE_FOLDER
const { createRequire } = require('module');
const { pathToFileURL } = require('url');
const crypto = require('crypto');
const http = require('http');
const path = require('path');

(async () => {
  const from = createRequire(path.resolve(process.argv[2], 'package.json'));
  const { Provider, default: fallback } = await import(pathToFileURL(from.resolve('oidc-provider')).href);
  const provider = new (Provider || fallback)('http://127.0.0.1', {
    adapter: undefined, // its own, in memory
    jwks: { keys: [{ ...crypto.generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }),
      alg: 'RS256', use: 'sig', kid: 'key-1' }] },
    clients: [{
      client_id: 'TENANT_CLIENT_ID', client_secret: 'TENANT_CLIENT_SECRET',
      token_endpoint_auth_method: 'client_secret_post', grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: ['https://app.example/cb'],
    }],
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    features: {
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'https://api.example',
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({ scope: 'api', audience: 'https://api.example', accessTokenFormat: 'jwt',
          accessTokenTTL: 300, jwt: { sign: { alg: 'RS256' } } }),
      },
    },
    rotateRefreshToken: true,
    ttl: { AccessToken: 300, IdToken: 1800, RefreshToken: 86400, Grant: 86400, Session: 86400 },
    routes: { token: '/oauth2/token' },
  });
  provider.on('server_error', (_, error) => console.error(error));

  const login = async (sub) => {
    const client = await provider.Client.find('TENANT_CLIENT_ID');
    const grant = new provider.Grant({ accountId: sub, clientId: client.clientId });
    grant.addOIDCScope('openid');
    grant.addResourceScope('https://api.example', 'api');
    const grantId = await grant.save();
    const token = new provider.RefreshToken({
      accountId: sub, client, grantId, scope: 'openid api', resource: 'https://api.example', gty: 'authorization_code',
      claims: {}, authTime: Math.floor(Date.now() / 1000), iiat: Math.floor(Date.now() / 1000), rotations: 0,
    });
    return token.save();
  };
  const answer = provider.callback();
  const server = http.createServer((request, response) => {
    if (request.url !== '/demo/login') return answer(request, response);
    let body = '';
    request.on('data', (piece) => { body += piece; });
    request.on('end', async () => {
      const text = JSON.stringify({ refresh_token: await login(new URLSearchParams(body).get('sub')) });
      response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) });
      response.end(text);
    });
  });
  server.listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
})();
