"""The settings of every part of the package, each declared once with its default, unit, bounds and description.

    sim_node        SimNodeSettings
    robot           RobotSettings            which robot, which joints, which limits
    control         ControlSettings          rate, controller, planner, delay, exploration
    references      ReferenceSettings        the motion to a target
    frames          FrameSettings            the frames of targets
    dynamics        DynamicsSettings         the estimator of the local dynamics
                    ConsistencySettings      its consistency with the data
                    DelaySettings            the estimation of the delay
                    FeatureSettings          image features
    planner         PlannerSettings          horizon, iterations, limits
    safety          SupervisorSettings       limits of commands, time-outs, faults, safe command
    distillation    DistillationSettings     distillation and use of policies
    simulation      PlantSettings, CameraSettings
    images          ImageSettings            rendered images
    nodes           NodeSettings (mpc_node), DistillationNodeSettings, RecordNodeSettings,
                    ReplayNodeSettings
    sim_node        SimNodeSettings
    vision          FeatureNodeSettings

`Configuration` (config/configuration.py) names the controller's; `sections_of` (config/settings_file.py) those of
each node. Costs, priors, controllers and planners declare theirs in their own files.
"""
