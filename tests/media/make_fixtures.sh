#!/bin/bash
# make_fixtures.sh OUT [NAME...]: makes small media files in the folder OUT with ffmpeg; all of them without names.
# Every name is a function below: `rotated` makes OUT/rotated.mp4. What each is for stands above it.
set -euo pipefail

readonly OUT=${1:?usage: make_fixtures.sh OUT [NAME...]}
shift

run() { ffmpeg -nostdin -hide_banner -loglevel error -y -fflags +bitexact "$@"; }

# picture SIZE FRAMES: the input arguments of a test picture at 25 frames a second.
picture() { printf '%s\n' -f lavfi -i "testsrc2=size=$1:rate=25,trim=end_frame=$2"; }

# x264 ARGS... FILE: encoded quickly and the same on every machine.
x264() { run "${@:1:$#-1}" -c:v libx264 -preset veryfast -threads 1 -flags +bitexact "${@: -1}"; }

# Nothing special: H.264 with colour tags, and AAC beside it.
plain() {
  mapfile -t input < <(picture 320x240 25)
  x264 "${input[@]}" -f lavfi -i sine=duration=1 -map 0:v -map 1:a -pix_fmt yuv420p \
    -color_primaries bt709 -color_trc bt709 -colorspace bt709 -color_range tv -c:a aac -bf 0 "$OUT/plain.mp4"
}

# To be shown turned 90 degrees anticlockwise.
rotated() {
  mapfile -t input < <(picture 128x96 5)
  x264 "${input[@]}" -pix_fmt yuv420p "$OUT/.rotated-plain.mp4"
  if ffmpeg -hide_banner -h full 2>/dev/null | grep -q -e '-display_rotation'; then
    run -display_rotation 90 -i "$OUT/.rotated-plain.mp4" -c copy "$OUT/rotated.mp4"
  else
    run -i "$OUT/.rotated-plain.mp4" -c copy -metadata:s:v:0 rotate=90 "$OUT/rotated.mp4"
  fi
  rm -f "$OUT/.rotated-plain.mp4"
}

# To be shown turned 90 degrees clockwise and then mirrored. Not every ffmpeg can write that: it is put into the header.
mirrored() {
  mapfile -t input < <(picture 128x96 5)
  x264 "${input[@]}" -pix_fmt yuv420p "$OUT/mirrored.mp4"
  local header
  header=$(LC_ALL=C grep -abo tkhd "$OUT/mirrored.mp4" | cut -d: -f1)
  # 0 1 0, 1 0 0, 0 0 1; the last column has 30 binary places, the others 16.
  printf '\0\0\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\100\0\0\0' |
    dd of="$OUT/mirrored.mp4" bs=1 seek=$((header + 44)) conv=notrunc status=none
}

# Frames are decoded in another order than shown; several references.
bframes() {
  mapfile -t input < <(picture 320x240 40)
  x264 "${input[@]}" -pix_fmt yuv420p -bf 3 -refs 4 -b_strategy 0 -g 12 "$OUT/bframes.mp4"
}

full_range() {
  mapfile -t input < <(picture 128x96 5)
  x264 "${input[@]}" -vf scale=out_range=full -pix_fmt yuvj420p -color_range pc "$OUT/full_range.mp4"
}

# No colour tags, below and above 720 lines.
untagged() {
  mapfile -t input < <(picture 128x96 5)
  x264 "${input[@]}" -pix_fmt yuv420p "$OUT/untagged.mp4"
}
untagged_high() {
  mapfile -t input < <(picture 1280x720 3)
  x264 "${input[@]}" -pix_fmt yuv420p "$OUT/untagged_high.mp4"
}

ten_bit() {
  mapfile -t input < <(picture 320x240 10)
  x264 "${input[@]}" -pix_fmt yuv420p10le "$OUT/ten_bit.mp4"
}

# Ten bits that eight could not hold: a phone's clip scaled down, whose means are of ten bits.
readonly PHONE=/usr/share/forensics-samples/original-files/movie1/VID_20191220_170832.mp4
# deep SIZE FORMAT: arguments for six frames.
deep() { printf '%s\n' -i "$PHONE" -an -frames:v 6 -vf "scale=$1:flags=area+accurate_rnd+bitexact,format=$2"; }

# HDR as televisions have it.
deep_pq() {
  mapfile -t input < <(deep 320:180 yuv420p10le)
  run "${input[@]}" -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc -color_range tv \
    -c:v libx265 -preset ultrafast -x265-params log-level=none:pools=1 "$OUT/deep_pq.mp4"
}
# The other HDR, in what browsers play.
deep_hlg() {
  mapfile -t input < <(deep 322:182 yuv420p10le)
  run "${input[@]}" -color_primaries bt2020 -color_trc arib-std-b67 -colorspace bt2020nc -color_range tv \
    -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -threads 1 "$OUT/deep_hlg.webm"
}
deep_av1() {
  mapfile -t input < <(deep 320:180 yuv420p10le)
  SVT_LOG=1 run "${input[@]}" -c:v libsvtav1 -preset 12 -g 12 "$OUT/deep_av1.mkv"
}
# Neither width nor height is even.
deep_odd() {
  mapfile -t input < <(deep 161:91 yuv420p10le)
  run "${input[@]}" -c:v ffv1 -threads 1 "$OUT/deep_odd.mkv"
}
# What cameras for films record: ten bits and 4:2:2.
deep_prores() {
  mapfile -t input < <(deep 320:180 yuv422p10le)
  run "${input[@]}" -color_primaries bt709 -color_trc bt709 -colorspace bt709 -color_range tv \
    -c:v prores_ks -profile:v hq -threads 1 "$OUT/deep_prores.mov"
}

# Neither width nor height is even.
odd() {
  mapfile -t input < <(picture 642x360 10)
  run "${input[@]}" -vf scale=641:359 -pix_fmt yuv420p -c:v mpeg4 -q:v 3 -bf 2 -flags +bitexact "$OUT/odd.mkv"
}

# The first frame is not at 0: MPEG-TS starts at 1.4 s.
offset() {
  mapfile -t input < <(picture 128x96 10)
  x264 "${input[@]}" -pix_fmt yuv420p -bf 2 -f mpegts "$OUT/offset.ts"
}

# Variable rate: intervals of 40, 80, 120 ms.
vfr() {
  mapfile -t input < <(picture 128x96 12)
  x264 "${input[@]}" -pix_fmt yuv420p -vf "select='eq(mod(n,6),0)+eq(mod(n,6),1)+eq(mod(n,6),3)'" -vsync vfr \
    -video_track_timescale 90000 "$OUT/vfr.mp4"
}

# An mp4 whose header promises 40 frames, and whose data ends after about half of them.
truncated() {
  mapfile -t input < <(picture 320x240 40)
  x264 "${input[@]}" -pix_fmt yuv420p -g 10 -movflags +faststart "$OUT/.truncated-whole.mp4"
  head -c "$(($(stat -c %s "$OUT/.truncated-whole.mp4") * 6 / 10))" "$OUT/.truncated-whole.mp4" >"$OUT/truncated.mp4"
  rm -f "$OUT/.truncated-whole.mp4"
}

# A Matroska film that ends after about half of its data.
cut_mkv() {
  mapfile -t input < <(picture 320x240 40)
  x264 "${input[@]}" -pix_fmt yuv420p -g 10 "$OUT/.cut-whole.mkv"
  head -c "$(($(stat -c %s "$OUT/.cut-whole.mkv") * 6 / 10))" "$OUT/.cut-whole.mkv" >"$OUT/cut_mkv.mkv"
  rm -f "$OUT/.cut-whole.mkv"
}

no_video() { run -f lavfi -i sine=duration=0.2 -c:a aac "$OUT/no_video.m4a"; }

# The size changes after 8 of 16 frames.
size_change() {
  mapfile -t input < <(picture 320x240 8)
  x264 "${input[@]}" -pix_fmt yuv420p -bf 2 -f mpegts "$OUT/.size-1.ts"
  mapfile -t input < <(picture 192x144 8)
  x264 "${input[@]}" -pix_fmt yuv420p -bf 2 -output_ts_offset 0.4 -f mpegts "$OUT/.size-2.ts"
  # Not `cat`: the packets' counters would jump, which reads as lost data.
  printf 'file %s\n' .size-1.ts .size-2.ts >"$OUT/.size-list"
  run -f concat -safe 0 -i "$OUT/.size-list" -c copy -f mpegts "$OUT/size_change.ts"
  rm -f "$OUT/.size-1.ts" "$OUT/.size-2.ts" "$OUT/.size-list"
}

interlaced() {
  mapfile -t input < <(picture 720x576 6)
  run "${input[@]}" -pix_fmt yuv420p -vf setfield=tff -c:v mpeg2video -q:v 4 -flags +ildct+ilme+bitexact -top 1 -bf 2 \
    "$OUT/interlaced.mpg"
}

# Pixels that are not square.
aspect() {
  mapfile -t input < <(picture 128x96 3)
  x264 "${input[@]}" -pix_fmt yuv420p -vf setsar=4/3 "$OUT/aspect.mp4"
}

# The sequence header cuts 2 columns and 2 rows off each side.
cropped() {
  mapfile -t input < <(picture 128x96 5)
  x264 "${input[@]}" -pix_fmt yuv420p -bsf:v h264_metadata=crop_left=2:crop_right=2:crop_top=2:crop_bottom=2 \
    "$OUT/cropped.mp4"
}

rgb() {
  mapfile -t input < <(picture 66x34 3)
  run "${input[@]}" -vf scale=65:33 -pix_fmt rgb24 -c:v png "$OUT/rgb.mkv"
}

rgba() {
  mapfile -t input < <(picture 66x34 3)
  run "${input[@]}" -vf scale=65:33 -pix_fmt rgba -c:v png "$OUT/rgba.mkv"
}

# Uncompressed: its decoder hands out the packet's own memory.
yuyv() {
  mapfile -t input < <(picture 64x32 3)
  run "${input[@]}" -pix_fmt yuyv422 -c:v rawvideo "$OUT/yuyv.avi"
}

vp9() {
  mapfile -t input < <(picture 322x182 10)
  run "${input[@]}" -vf scale=321:181 -pix_fmt yuv420p -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -threads 1 "$OUT/vp9.webm"
}

hevc() {
  mapfile -t input < <(picture 320x240 12)
  run "${input[@]}" -pix_fmt yuv420p -c:v libx265 -preset ultrafast -x265-params log-level=none:pools=1 "$OUT/hevc.mp4"
}

# JPEGs as cameras make them: 4:2:0, and 4:2:2 that most have.
mjpeg() {
  mapfile -t input < <(picture 322x182 12)
  run "${input[@]}" -pix_fmt yuvj420p -c:v mjpeg -q:v 3 -threads 1 "$OUT/mjpeg.avi"
}
mjpeg_422() {
  mapfile -t input < <(picture 320x180 8)
  run "${input[@]}" -pix_fmt yuvj422p -c:v mjpeg -q:v 3 -threads 1 "$OUT/mjpeg_422.avi"
}

mkdir -p "$OUT"
if (($# == 0)); then
  set -- plain rotated mirrored bframes full_range untagged untagged_high ten_bit deep_pq deep_hlg deep_av1 deep_odd \
    deep_prores odd offset vfr truncated cut_mkv no_video size_change interlaced aspect cropped rgb rgba yuyv vp9 hevc mjpeg mjpeg_422
fi
for name in "$@"; do
  [[ $(type -t "$name") == function ]] || { echo "make_fixtures.sh: no fixture '$name'" >&2; exit 2; }
  "$name"
done
