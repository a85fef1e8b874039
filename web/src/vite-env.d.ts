// Types that packages leave out: the light build of hls.js has the API of the full one.
declare module 'hls.js/light' {
  export { default } from 'hls.js';
}
