vec4 shade(vec4 color, ivec2 at) { return vec4(linear(color.rgb), color.a); }
