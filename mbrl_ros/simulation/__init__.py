"""A simulated robot: the MuJoCo plant with its drives and sensors (plant), a camera (camera), pictures (picture)."""
