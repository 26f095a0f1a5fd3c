"""Exports of sets: pictures for image trainers, clips and pairs for video trainers."""
